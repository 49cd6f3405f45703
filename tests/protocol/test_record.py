"""No record, no forward; every refusal has its page; and what `mode: observe` lets through, with what it does not."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.demo.packages import Distribution, wheel
from gateway.demo.scenarios import POLICY
from gateway.errors import StoreError
from gateway.model.intent import Settlement
from gateway.sandbox import github_identity, person, slsa_provenance
from gateway.store import Query
from tests.lab.gate import GOOD, LabGate, lab_gate

OTHER = wheel("acme-good", "1.0.0", source="# other\n")
Told = tuple[int, str, str]


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path) as running:
        yield running


async def fails(*_: object, **__: object) -> None:
    raise StoreError("the record: disk I/O error")


# --- no record, no forward ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failing",
    ["grant_by_id", "open_intents", "history", "evidence_for", "waivers_for", "keep_evidence", "begin"],
)
async def test_a_record_that_fails_before_the_forward_is_a_503_and_nothing_is_forwarded(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(gate.store, failing, fails)
        status, reason, body = await gate.upload()
    assert (status, reason.partition(":")[0]) == (503, "record-unavailable")
    assert "disk I/O" not in reason + body
    assert not gate.registry.writes
    assert (await gate.upload())[0] == 200


async def test_a_refusal_that_cannot_be_recorded_is_a_503_too(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate.store, "begin", fails)
    assert (await gate.upload(attestations=None))[0] == 503
    assert (await gate.upload(Distribution(GOOD.name, b"no zip")))[0] == 503
    got = await gate.fetch("/pypi/", method="POST", token=gate.token, **{"Content-Type": "text/plain"})
    assert (got.status, got.headers["Retry-After"]) == (503, "30")


async def test_a_database_that_may_only_be_read_forwards_nothing(gate: LabGate) -> None:
    writer = gate.store._database._writer  # type: ignore[attr-defined]
    writer.execute("PRAGMA query_only = ON")
    assert (await gate.upload())[1].startswith("record-unavailable")
    assert not gate.registry.writes
    writer.execute("PRAGMA query_only = OFF")
    assert (await gate.upload())[0] == 200


async def test_a_full_disk_forwards_nothing(gate: LabGate) -> None:
    writer = gate.store._database._writer  # type: ignore[attr-defined]
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    assert (await gate.upload())[1].startswith("record-unavailable")
    assert not gate.registry.writes
    assert (await gate.fetch("/pypi/simple/")).status == 200  # readers are served meanwhile
    writer.execute("PRAGMA max_page_count = 1000000")
    assert (await gate.upload())[0] == 200


@pytest.mark.parametrize(("failing", "writes"), [("step", 0), ("settle", 1)])
async def test_a_record_that_fails_after_the_decision_says_that_it_is_not_known(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch, failing: str, writes: int
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(gate.store, failing, fails)
        status, reason, body = await gate.upload()
    assert (status, reason.partition(":")[0]) == (503, "record-unavailable")
    assert "nothing was forwarded" not in " ".join(body.split())
    assert "not known yet" in " ".join(body.split())
    assert (await gate.get(urlsplit(reason.rpartition(" - ")[2]).path))[0] == 200
    assert len(gate.registry.writes) == writes
    assert (await gate.fetch(f"/pypi/packages/{GOOD.name}")).code == "file-withheld"
    assert (await gate.upload())[0] == 200
    assert gate.registry.files == {GOOD.name: GOOD.content}
    assert not await gate.store.open_intents()


async def test_a_settlement_that_cannot_be_recorded_leaves_the_file_withheld(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.registry.truncate = 100
    with monkeypatch.context() as broken:
        broken.setattr(gate.store, "settle", fails)
        assert (await gate.upload())[1].startswith("record-unavailable")
    assert (await gate.fetch(f"/pypi/packages/{GOOD.name}")).code == "file-withheld"
    assert await gate.settle()
    written = await gate.newest()
    assert written.intent is not None
    assert written.intent.settlement is Settlement.DAMAGED


# --- the spool ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quota", ["total", "per_grant"])
async def test_a_spool_without_room_is_a_503_and_the_room_comes_back(tmp_path: Path, quota: str) -> None:
    large = wheel("acme-good", "1.0.1", source="# " + os.urandom(4000).hex())
    async with lab_gate(tmp_path, spool={quota: len(GOOD.content) + 100}) as gate:
        for _ in range(3):
            status, reason, _ = await gate.upload(large)
            assert (status, reason.partition(":")[0]) == (503, "spool-full")
        assert not gate.registry.writes
        assert list(gate.spool.directory.iterdir()) == []
        assert (await gate.upload())[0] == 200
        assert (await gate.upload())[0] == 200


async def test_a_spool_that_is_gone_is_a_503(gate: LabGate) -> None:
    shutil.rmtree(gate.spool.directory)
    status, reason, _ = await gate.upload()
    assert (status, reason.partition(":")[0]) == (503, "spool-full")
    gate.spool.directory.mkdir(mode=0o700)
    assert (await gate.upload())[0] == 200


async def test_a_spool_on_a_full_disk_is_a_503(gate: LabGate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with monkeypatch.context() as full:
        full.setattr(tempfile, "mkstemp", lambda **_: (os.open("/dev/full", os.O_RDWR), str(tmp_path / "gone")))
        status, reason, _ = await gate.upload()
    assert (status, reason.partition(":")[0]) == (503, "spool-full")
    assert (await gate.upload())[0] == 200


# --- every refusal has a page ---------------------------------------------------------------------------------------

Try = Callable[[LabGate], Awaitable[Told]]
REFUSED: dict[str, tuple[Try, set[str]]] = {
    "unsigned": (lambda g: g.upload(attestations=None), {"evidence-missing"}),
    "another repository": (
        lambda g: g.upload(attestations=g.attestation(by=github_identity(repository="evil/libs"))),
        {"repository-mismatch"},
    ),
    "another digest in the form": (lambda g: g.upload(fields={"sha256_digest": "0" * 64}), {"form-digest-mismatch"}),
    "another action": (lambda g: g.upload(fields={":action": "remove_pkg"}), {"upload-malformed"}),
    "no archive": (lambda g: g.upload(Distribution(GOOD.name, b"none"), fields={}), {"archive-malformed"}),
    "no rule": (lambda g: g.upload(wheel("other", "1.0.0")), {"no-rule"}),
    "junk for evidence": (lambda g: g.upload(fields={"attestations": "[{}]"}), {"evidence-malformed"}),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_refusal_links_to_its_page(gate: LabGate, what: str) -> None:
    attempt, codes = REFUSED[what]
    status, reason, body = await attempt(gate)
    assert 400 <= status < 500
    link = reason.rpartition(" - ")[2]
    assert link in body
    path = urlsplit(link).path
    page = await gate.fetch(path)
    assert page.status == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    for name, value in {
        "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
    }.items():  # fmt: skip
        assert page.headers[name] == value
    assert "script" not in page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    told = await gate.fetch(path, Accept="application/json")
    assert told.headers["Content-Type"] == "application/json"
    shown = json.loads(told.body)
    assert codes <= {one["code"] for one in shown["reasons"]}
    for code in codes:
        assert code.encode() in page.body
        assert (await gate.fetch(f"/-/reasons/{code}")).status == 200
    assert shown["outcome"] == "reject"
    failed = {check["code"] for check in shown["checks"] if check["result"] == "failed"}
    assert failed == {one["code"] for one in shown["reasons"]}
    assert gate.token not in page.body.decode() + told.body.decode()
    assert not gate.registry.writes


async def test_a_publish_that_passed_has_a_page_too(gate: LabGate) -> None:
    assert (await gate.upload())[0] == 200
    record = (await gate.newest()).record
    shown = json.loads((await gate.fetch(f"/-/d/{record.id}", Accept="application/json")).body)
    assert (shown["outcome"], shown["settlement"]) == ("accept", "published")
    assert len(shown["checks"]) > 10


@pytest.mark.parametrize(
    "path",
    [
        "/-/d/", "/-/d/x", "/-/d/AAAAAAAAAAAAAAAAAAAAAA", "/-/d/AAAAAAAAAAAAAAAAAAAAAA/", "/-/d", "/-/reasons/unknown",
        "/-/d/%41AAAAAAAAAAAAAAAAAAAAA", "/-/reasons/no-rule/x", "/-/metrics", "/-/evidence/x", "/-/admin",
    ],
)  # fmt: skip
async def test_an_unknown_page_is_a_404(gate: LabGate, path: str) -> None:
    assert (await gate.fetch(path)).status == 404


async def test_a_page_of_a_record_that_cannot_be_read_is_a_503(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate.store, "record", fails)
    assert (await gate.fetch("/-/d/AAAAAAAAAAAAAAAAAAAAAA")).status == 503


LONE = "\ud800"  # half of a pair: JSON can write it, UTF-8 cannot


@pytest.mark.parametrize(
    "attestations",
    [
        json.dumps([{LONE: 1}]),
        json.dumps([LONE]),
        json.dumps([{"version": 1, "verification_material": {"certificate": LONE, "transparency_entries": []}}]),
        json.dumps({"a": LONE}),
    ],
)
async def test_text_that_cannot_be_written_down_is_refused_and_recorded(gate: LabGate, attestations: str) -> None:
    status, reason, _ = await gate.upload(fields={"attestations": attestations})
    assert (status, reason.partition(":")[0]) == (403, "evidence-malformed")
    assert await gate.codes() == {"evidence-malformed"}


async def test_a_signed_statement_with_text_that_cannot_be_written_down_is_refused_and_recorded(gate: LabGate) -> None:
    by = github_identity()
    statement = slsa_provenance([(f"{GOOD.name}{LONE}", {"sha256": GOOD.sha256})], by)
    status, _, _ = await gate.upload(attestations=gate.sandbox.attest(statement, by, gate.at))
    assert status == 403
    assert await gate.codes() <= {"evidence-malformed", "evidence-name-mismatch", "evidence-missing"}
    assert not gate.registry.writes


# --- mode: observe --------------------------------------------------------------------------------------------------

OBSERVED = POLICY.replace("    owner:", "    mode: observe\n    owner:")
LIFTED: dict[str, tuple[Try, set[str]]] = {
    "unsigned": REFUSED["unsigned"],
    "another repository": REFUSED["another repository"],
    "from a branch": (
        lambda g: g.upload(attestations=g.attestation(by=github_identity(ref="refs/heads/main"))),
        {"ref-mismatch"},
    ),
    "signed by a person": (
        lambda g: g.upload(
            attestations=g.sandbox.attest(
                slsa_provenance([(GOOD.name, {"sha256": GOOD.sha256})], github_identity()), person("a@b.example"), g.at
            )
        ),
        {"signer-not-ci"},
    ),
    "junk for evidence": REFUSED["junk for evidence"],
}


@pytest.fixture
async def observing(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path, policy=OBSERVED) as running:
        yield running


@pytest.mark.parametrize("what", LIFTED)
async def test_observe_lets_through_what_evidence_and_identity_would_refuse_and_records_it(
    observing: LabGate, what: str
) -> None:
    attempt, codes = LIFTED[what]
    assert (await attempt(observing))[0] == 200
    assert observing.registry.files == {GOOD.name: GOOD.content}
    record = (await observing.newest()).record
    assert record.decision.observed
    assert record.decision.reasons == ()
    assert codes <= {check.reason.code.value for check in record.decision.checks if check.reason}
    shown = json.loads((await observing.fetch(f"/-/d/{record.id}", Accept="application/json")).body)
    assert (shown["mode"], shown["outcome"]) == ("observe", "accept")
    assert b"only observes" in (await observing.fetch(f"/-/d/{record.id}")).body
    case = record.case
    assert case is not None
    assert (await observing.store.history(case.upload)).first_publish is None


async def test_observe_records_a_good_publish_as_observed_too(observing: LabGate) -> None:
    assert (await observing.upload())[0] == 200
    assert (await observing.newest()).record.decision.observed


async def _other_bytes(gate: LabGate) -> Told:
    assert (await gate.upload())[0] == 200
    return await gate.upload(OTHER)


async def _withdrawn(gate: LabGate) -> Told:
    await gate.store.revoke_digest(GOOD.sha256, "ops", "stolen", gate.at)
    return await gate.upload()


async def _scoped(gate: LabGate) -> Told:
    return await gate.upload(token=await gate.grant(packages="pkg:pypi/other"))


async def _altered(gate: LabGate) -> Told:
    return await gate.upload(OTHER, attestations=gate.attestation(GOOD))


STANDS: dict[str, tuple[Try, int, str]] = {
    "other bytes": (_other_bytes, 409, "version-exists"),
    "withdrawn": (_withdrawn, 403, "digest-revoked"),
    "another package's token": (_scoped, 403, "credential-scope"),
    "altered after signing": (_altered, 403, "digest-mismatch"),
    "another name in the metadata": (
        lambda g: g.upload(wheel("acme-good", "1.0.0", metadata_name="acme-evil")), 403, "package-metadata-mismatch",
    ),
    "another version in the form": (
        lambda g: g.upload(fields={"version": "2.0"}), 403, "package-metadata-mismatch",
    ),
    "another digest in the form": (
        lambda g: g.upload(fields={"sha256_digest": "0" * 64}), 400, "form-digest-mismatch",
    ),
    "another action": (lambda g: g.upload(fields={":action": "doc_upload"}), 400, "upload-malformed"),
    "no archive": (lambda g: g.upload(Distribution(GOOD.name, b"none")), 400, "archive-malformed"),
    "no rule": (lambda g: g.upload(wheel("other", "1.0.0")), 403, "no-rule"),
    "no credential": (lambda g: g.upload(token=""), 401, "credential-missing"),
}  # fmt: skip


@pytest.mark.parametrize("what", STANDS)
async def test_observe_lifts_nothing_else(observing: LabGate, what: str) -> None:
    attempt, status, code = STANDS[what]
    told = await attempt(observing)
    assert told[0] == status
    if status != 401:
        assert code in await observing.codes()
    else:
        assert told[1].startswith(code)
        assert await observing.store.records(Query()) == ()
    assert len(observing.registry.writes) == (1 if what == "other bytes" else 0)
