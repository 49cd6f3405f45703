"""Trust roots: what settings may say, what material may hold, and the windows that come of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from gateway.errors import Malformed
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, material_names
from gateway.verification.trust_root import Window
from tests.lab import conformance
from tests.lab.data import GITHUB, needs_data

SHIPPED = conformance.ROOT / "trust_roots"
START = datetime(2026, 1, 1, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "kind": "sigstore",
    "source": {"file": TRUSTED_ROOT},
    "thresholds": {"sct": 1, "log": 1, "timestamp": 0},
    "owner": "tests",
}
KEYS: dict[str, Any] = {
    "kind": "keys",
    "keys": {"release": {"file": "release.pem", "not_before": "2026-01-01"}},
    "thresholds": {"sct": 0, "log": 0, "timestamp": 0},
    "owner": "tests",
}
NO_THRESHOLDS = {"sct": 0, "log": 0, "timestamp": 0}


def load(directory: Path) -> TrustRoot:
    settings = TrustRootSettings.model_validate(yaml.safe_load((directory / "trust_root.yaml").read_text()))
    material = {name: (directory / name).read_bytes() for name in material_names(settings)}
    return build_trust_root(directory.name, settings, material)


def build(change: Callable[[dict[str, Any]], object] = lambda _: None) -> TrustRoot:
    """The shipped public-good root with one change."""
    document = json.loads(conformance.PUBLIC_GOOD.read_text())
    change(document)
    return build_trust_root(
        "root", TrustRootSettings.model_validate(GOOD), {TRUSTED_ROOT: json.dumps(document).encode()}
    )


@pytest.mark.parametrize("name", ["sigstore-public-good", "example-private", "example-keys"])
def test_a_shipped_root_loads_whole(name: str) -> None:
    root = load(SHIPPED / name)
    assert (root.name, root.skipped, root.sandbox) == (name, (), False)
    assert root.authorities or root.keys


def test_the_public_good_root_has_the_windows_of_its_file() -> None:
    root = build()
    assert [authority.window.end is None for authority in root.authorities] == [False, True]
    assert len(root.logs) == len(root.ct_logs) == 2
    assert len(root.timestamp_authorities) == 1


@needs_data
def test_githubs_root_has_six_generations_and_no_logs() -> None:
    root = build_trust_root(
        "github",
        TrustRootSettings.model_validate(GOOD | {"thresholds": {"sct": 0, "log": 0, "timestamp": 1}}),
        {TRUSTED_ROOT: (GITHUB / "github-instance-trusted_root.json").read_bytes()},
    )
    assert (len(root.authorities), len(root.timestamp_authorities)) == (6, 6)
    assert (root.logs, root.ct_logs, root.skipped) == ((), (), ())


def _unknown_key(document: dict[str, Any]) -> None:
    document["tlogs"][1]["publicKey"] |= {"rawBytes": "AAAA", "keyDetails": "PKIX_SLH_DSA"}


def test_a_log_with_a_key_of_a_new_kind_is_left_out_and_listed() -> None:
    root = build(_unknown_key)
    assert len(root.logs) == 1
    assert root.skipped == ("tlogs[1]: not a public key",)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(aFieldOfTheFuture={}),
        lambda d: d["certificateAuthorities"][0].pop("subject"),
        lambda d: d["tlogs"][0].update(operator="x"),
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.trustedroot.v0.1+json"),
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.trustedroot.v0.2+json"),
        lambda d: d.pop("ctlogs"),
        lambda d: d.pop("timestampAuthorities"),
    ],
)
def test_a_root_is_read_though_it_differs_in_what_does_not_matter(change: Callable[[dict[str, Any]], object]) -> None:
    assert build(change).skipped == ()


def _another_issuer(document: dict[str, Any]) -> None:
    """A timestamp authority under a root that did not issue its certificate."""
    stranger = document["certificateAuthorities"][0]["certChain"]["certificates"][0]
    document["timestampAuthorities"][0]["certChain"]["certificates"][1] = stranger


@pytest.mark.parametrize(
    "change",
    [
        _another_issuer,
        lambda d: d["tlogs"][0]["publicKey"]["validFor"].pop("start"),
        lambda d: d["tlogs"][0]["publicKey"].pop("validFor"),
        lambda d: d["ctlogs"][0]["publicKey"]["validFor"].pop("start"),
        lambda d: d["certificateAuthorities"][1]["validFor"].pop("start"),
        lambda d: d["certificateAuthorities"][1]["validFor"].update(end="tomorrow"),
        lambda d: d["certificateAuthorities"][1]["validFor"].update(start="2022-04-13T20:06:15"),
        lambda d: d["certificateAuthorities"][1]["certChain"]["certificates"].reverse(),
        lambda d: d["certificateAuthorities"][1]["certChain"].update(certificates=[]),
        lambda d: d["timestampAuthorities"][0]["validFor"].pop("start"),
        lambda d: d["tlogs"][0].pop("logId"),
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.trustedroot+json;version=9"),
        lambda d: d.update(tlogs={}),
        lambda d: d.update(tlogs=d["tlogs"] * 40),
    ],
)
def test_a_root_with_a_fault_is_refused_whole(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(Malformed):
        build(change)


def test_the_digest_changes_with_settings_and_with_material() -> None:
    digests = {
        build().digest,
        build(lambda d: d.update(x=1)).digest,
        build_trust_root(
            "root",
            TrustRootSettings.model_validate(GOOD | {"thresholds": {"sct": 1, "log": 1, "timestamp": 1}}),
            {TRUSTED_ROOT: conformance.PUBLIC_GOOD.read_bytes()},
        ).digest,
    }
    assert len(digests) == 3
    assert build().digest == build().digest


@pytest.mark.parametrize(
    "settings",
    [
        GOOD | {"colour": "red"},
        GOOD | {"kind": "pgp"},
        GOOD | {"owner": ""},
        GOOD | {"source": None},
        GOOD | {"source": {}},
        GOOD | {"source": {"file": "../up.json"}},
        GOOD | {"source": {"file": "a.json", "embedded": "public-good"}},
        GOOD | {"source": {"tuf": "https://tuf.acme.example"}},
        GOOD | {"source": {"tuf": "http://tuf.acme.example", "bootstrap": "root.json"}},
        GOOD | {"source": {"file": "a.json", "bootstrap": "root.json"}},
        GOOD | {"thresholds": NO_THRESHOLDS},
        GOOD | {"thresholds": {"sct": 1, "log": 1}},
        GOOD | {"thresholds": {"sct": -1, "log": 1, "timestamp": 0}},
        GOOD | {"thresholds": {"sct": True, "log": 1, "timestamp": 0}},
        GOOD | {"not_after": "31.12.2026"},
        GOOD | {"keys": KEYS["keys"]},
        KEYS | {"keys": {}},
        KEYS | {"keys": {"release": {"file": "release.pem"}}},
        KEYS | {"thresholds": {"sct": 0, "log": 1, "timestamp": 0}},
        KEYS | {"thresholds": {"sct": 1, "log": 0, "timestamp": 0}},
        GOOD | {"kind": "ca"},
        GOOD | {"kind": "ca", "source": {"embedded": "public-good"}, "thresholds": NO_THRESHOLDS},
    ],
)
def test_settings_that_say_nothing_or_too_much_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrustRootSettings.model_validate(settings)


def test_the_files_to_read_are_those_the_settings_name() -> None:
    tuf = {"tuf": "https://tuf.acme.example", "bootstrap": "root.json"}
    assert material_names(TrustRootSettings.model_validate(GOOD)) == (TRUSTED_ROOT,)
    assert material_names(TrustRootSettings.model_validate(GOOD | {"source": tuf})) == ("root.json",)
    assert material_names(TrustRootSettings.model_validate(KEYS)) == ("release.pem",)


def test_a_tuf_root_before_its_first_fetch_says_that_it_is_not_there() -> None:
    tuf = {"tuf": "https://tuf.acme.example", "bootstrap": "root.json"}
    settings = TrustRootSettings.model_validate(GOOD | {"source": tuf})
    with pytest.raises(Malformed, match=r"trusted_root\.json: is not there yet"):
        build_trust_root("root", settings, {"root.json": b"{}"})


def test_both_ends_of_a_window_belong_to_it() -> None:
    second = timedelta(seconds=1)
    window = Window(START, START + second)
    assert [START - second in window, START in window, START + second in window] == [False, True, True]
    assert START + 2 * second not in window
    assert START + 1000 * second in Window(START)
