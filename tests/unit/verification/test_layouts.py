"""Layouts as trust roots: what is taken, and what is refused when the gateway starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import Malformed, TooLarge
from gateway.verification import TrustRootSettings
from gateway.verification.layout import read_layout
from tests.lab import layouts as lab


def test_a_layout_that_its_owner_signed_is_a_root_which_trusts_that_key_for_nothing_else() -> None:
    root = lab.root()
    assert root.layout is not None
    assert [(step.name, step.threshold, len(step.functionaries)) for step in root.layout.steps] == [
        ("fetch", 1, 1),
        ("build", 2, 3),
    ]
    assert root.layout.expires == datetime(2027, 6, 30, tzinfo=UTC)
    assert [key.name for key in root.layout_signers] == ["owner-2026"]
    assert (root.keys, root.authorities) == ((), ())


def test_a_layout_may_come_in_an_envelope() -> None:
    assert lab.root(lab.layout(envelope=True)).layout is not None


def test_a_layout_that_somebody_else_signed_is_refused() -> None:
    with pytest.raises(Malformed, match="signed by none of the root's keys"):
        lab.root(lab.layout("stranger"))


def test_a_layout_without_signature_is_refused() -> None:
    body = json.loads(lab.layout()) | {"signatures": []}
    with pytest.raises(Malformed, match="signed by none of the root's keys"):
        lab.root(json.dumps(body).encode())


def test_a_layout_changed_after_it_was_signed_is_refused() -> None:
    body = json.loads(lab.layout())
    body["signed"]["steps"][1]["threshold"] = 1
    with pytest.raises(Malformed, match="signed by none of the root's keys"):
        lab.root(json.dumps(body).encode())


@pytest.mark.parametrize("envelope", [False, True])
def test_a_layout_with_an_inspection_is_refused_and_nothing_is_run(tmp_path: Path, envelope: bool) -> None:  # noqa: FBT001
    proof = tmp_path / "was-run"
    body = lab.layout(inspect=[lab.inspection(["touch", str(proof)])], envelope=envelope)
    with pytest.raises(Malformed, match="inspect"):
        lab.root(body)
    assert not proof.exists()


def _spoiled(spoil: Callable[[dict[str, Any]], object]) -> bytes:
    """The layout with its document changed and signed anew, past what the library would let one sign."""
    model = lab.model()
    document = json.loads(lab.signed(model))["signed"]
    spoil(document)
    return json.dumps({"signed": document, "signatures": [{"keyid": lab.key_id("owner"), "sig": "00"}]}).encode()


FIRST = 0
SPOILED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "inspections that are null": (lambda d: d.update(inspect=None), "inspect"),
    "inspections that are an object": (lambda d: d.update(inspect={}), "inspect"),
    "a key that no signature of the older form covers": (lambda d: d.update(extra=1), "unknown key"),
    "no steps": (lambda d: d.update(steps=[]), "steps"),
    "no time of expiry": (lambda d: d.pop("expires"), "expires"),
    "an empty time of expiry": (lambda d: d.update(expires=""), "expires"),
    "a time of expiry in another zone": (lambda d: d.update(expires="2027-06-30T00:00:00+02:00"), "expires"),
    "a day that is not in the calendar": (lambda d: d.update(expires="2027-02-30T00:00:00Z"), "layout|in-toto"),
    "a threshold of nobody": (lambda d: d["steps"][FIRST].update(threshold=0), "threshold"),
    "a threshold below zero": (lambda d: d["steps"][FIRST].update(threshold=-1), "threshold"),
    "a threshold that is true": (lambda d: d["steps"][FIRST].update(threshold=True), "threshold"),
    "a threshold of more than there are": (lambda d: d["steps"][FIRST].update(threshold=2), "threshold"),
    "a step of nobody": (lambda d: d["steps"][FIRST].update(pubkeys=[]), "pubkeys"),
    "a step of an unknown key": (lambda d: d["steps"][FIRST].update(pubkeys=["ab" * 32]), "pubkeys"),
    "one key twice in a step": (
        lambda d: d["steps"][FIRST].update(pubkeys=[lab.key_id("fetcher")] * 2, threshold=2),
        "pubkeys",
    ),
    "a step without a name": (lambda d: d["steps"][FIRST].update(name=""), "name"),
    "two steps of one name": (lambda d: d["steps"][FIRST].update(name="build"), "two steps"),
    "a key of a step that is unknown": (lambda d: d["steps"][FIRST].update(run=["rm"]), "unknown key"),
    "a rule that is none": (lambda d: d["steps"][FIRST].update(expected_products=[["PERMIT", "*"]]), "artifact rule"),
    "a rule of a step that is not there": (
        lambda d: d["steps"][FIRST].update(expected_products=[["MATCH", "*", "WITH", "PRODUCTS", "FROM", "test"]]),
        "names a step",
    ),
    "one key under two ids": (
        lambda d: d["keys"].update({"ab" * 32: d["keys"][lab.key_id("alice")] | {"keyid": "ab" * 32}}),
        "one key under two ids",
    ),
    "a key under another id": (lambda d: d["keys"].update({"ab" * 32: d["keys"][lab.key_id("alice")]}), "its id"),
    "a key of an unknown kind": (
        lambda d: d["keys"][lab.key_id("alice")].update(keytype="sigstore-oidc", scheme="Fulcio"),
        "kind sigstore-oidc",
    ),
    "a key that is none": (lambda d: d["keys"][lab.key_id("bob")]["keyval"].update(public="none"), "not a public key"),
}


@pytest.mark.parametrize("what", sorted(SPOILED))
def test_a_layout_is_refused_with(what: str) -> None:
    spoil, match = SPOILED[what]
    with pytest.raises(Malformed, match=match):
        read_layout(_spoiled(spoil))


def test_the_layout_that_is_not_spoiled_is_read() -> None:
    assert len(read_layout(_spoiled(lambda _: None)).steps) == 2


def test_a_layout_with_one_key_twice_is_refused() -> None:
    body = lab.layout().replace(b'"readme"', b'"inspect": [], "readme"')
    assert body.count(b'"inspect"') == 2
    with pytest.raises(Malformed, match="given twice"):
        read_layout(body)


def test_a_layout_over_the_bound_is_refused() -> None:
    with pytest.raises(TooLarge):
        read_layout(b'{"signed": "' + b"x" * (4 << 20) + b'"}')


def test_a_link_is_no_layout() -> None:
    with pytest.raises(Malformed, match="a link"):
        read_layout(lab.fetch())


SETTINGS: dict[str, Any] = {
    "kind": "layout",
    "source": {"file": "release.layout"},
    "keys": {"owner": {"file": "owner.pem", "not_before": "2026-01-01"}},
    "thresholds": {"sct": 0, "log": 0, "timestamp": 0},
    "owner": "tests",
}


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": {}},
        {"source": None},
        {"source": {"embedded": "public-good"}},
        {"thresholds": {"sct": 0, "log": 1, "timestamp": 0}},
    ],
    ids=["no keys", "no source", "no file", "a threshold"],
)
def test_a_layouts_settings_are_a_file_its_owners_keys_and_no_thresholds(changed: dict[str, Any]) -> None:
    TrustRootSettings.model_validate(SETTINGS)
    with pytest.raises(ValidationError):
        TrustRootSettings.model_validate(SETTINGS | changed)
