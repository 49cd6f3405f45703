"""What operators see of holds: `provgate holds list`, and `provgate decisions` by digest."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import commands
from gateway.config import load_settings
from gateway.model.content import Ending
from gateway.reasons import Code, Reason
from gateway.store import Store, load_or_create_key
from tests.lab import contents, records
from tests.lab.cases import AT

SETTINGS = """\
listen: 127.0.0.1:8080
public_url: http://127.0.0.1:8080
registries:
  - {name: images, ecosystem: oci, upstream: "http://127.0.0.1:5000", upstream_credential: none, read_auth: none}
trust_roots: roots
policy: policy
store: sqlite:///state/provgate.db
"""
WAITS, EXPIRED = "Vq3sYb0mRk2pXw8LzJ5tN1", "Vq3sYb0mRk2pXw8LzJ5tN2"
WANTED = "an attestation of https://slsa.dev/provenance/v1"


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with one hold that waits and one that has expired, on a terminal of 100 columns."""
    for name in ("roots", "policy"):
        (tmp_path / name).mkdir()
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    monkeypatch.setenv("PROVGATE_CONFIG", str(tmp_path / "gateway.yaml"))
    monkeypatch.setattr("gateway.cli.options.WIDTH", 100)
    asyncio.run(fill(tmp_path / "gateway.yaml"))


async def fill(config: Path) -> None:
    settings = load_settings(config)
    async with await Store.open(settings.store, load_or_create_key(settings.key_file)) as store:
        for minute, (id_, word, tag) in enumerate(((EXPIRED, "one", "1.0.0"), (WAITS, "two", "[red]x"))):
            record, hold = contents.held(id_, word, tag, at=AT + timedelta(minutes=minute))
            reason = Reason(Code.EVIDENCE_MISSING, tag, WANTED, "none")
            decision = replace(record.decision, reasons=(reason,))
            await store.contents.hold(replace(record, decision=decision), hold)
        await store.contents.end_hold(EXPIRED, Ending.EXPIRED, "its evidence did not come", AT + timedelta(minutes=30))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_what_waits_is_listed_with_what_it_waits_for_and_until_when() -> None:
    table = run("holds", "list")
    assert max(map(len, table.splitlines())) <= 100
    assert WAITS in table
    assert EXPIRED not in table
    for text in ("team/app:[red]x", "11-24 12:01", "waits 11-24 12:31", "attestation"):
        assert text in table


def test_what_has_ended_is_listed_too_when_it_is_asked_for() -> None:
    table = run("holds", "list", "--all")
    assert max(map(len, table.splitlines())) <= 100
    assert table.index(WAITS) < table.index(EXPIRED)
    assert "expired 11-24 12:30" in table


def test_holds_as_json_have_stable_keys() -> None:
    waits, expired = json.loads(run("holds", "list", "--all", "--json"))
    assert waits == {
        "id": WAITS,
        "registry": "images",
        "image": "team/app:[red]x",
        "digest": str(contents.digest("two")),
        "since": "2026-11-24T12:01:00+00:00",
        "until": "2026-11-24T12:31:00+00:00",
        "ended": "",
        "ending": "",
        "problem": "",
        "words": "Waits for its evidence until 2026-11-24 12:31:00 UTC; nobody reaches the tag before.",
        "waiting_for": [WANTED],
    }
    assert (expired["ending"], expired["problem"]) == ("expired", "its evidence did not come")
    assert expired["words"] == "Expired 2026-11-24 12:30:00 UTC: the tag never appeared."


@pytest.mark.parametrize(("arguments", "listed"), [(("--registry", "images"), 1), (("--registry", "other"), 0)])
def test_holds_are_listed_by_registry(arguments: tuple[str, ...], listed: int) -> None:
    assert len(json.loads(run("holds", "list", "--json", *arguments))) == listed


def test_a_decision_is_found_by_its_digest_and_says_how_its_hold_stands() -> None:
    sha256 = records.sha256("one")
    for given in (f"sha256:{sha256}", sha256):
        shown = run("decisions", "show", "--digest", given)
        assert f"hold  {EXPIRED}" in shown
        assert "Expired 2026-11-24 12:30:00 UTC: the tag never appeared.  its evidence did not come" in shown
    (listed,) = json.loads(run("decisions", "list", "--digest", f"sha256:{sha256}", "--json"))
    assert (listed["id"], listed["hold"]["ending"]) == (EXPIRED, "expired")
    assert "hold (expired)" in run("decisions", "list", "--digest", sha256)
    assert "hold (waits)" in run("decisions", "list")


@pytest.mark.parametrize(
    "digest", ["sha256:9f", "sha512:" + "0" * 128, "sha256:" + "A" * 64, "md5:" + "0" * 32, "latest"]
)
def test_what_is_no_sha256_is_a_mistake_of_the_command_line(digest: str) -> None:
    for command in ("list", "show"):
        result = CliRunner().invoke(commands, ["decisions", command, "--digest", digest])
        assert result.exit_code == 2
        assert "64 lower-case hexadecimal digits" in result.output
