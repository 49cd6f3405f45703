"""The locker: evidence sent before its artifact helps, and nothing anybody puts there can hurt (CONTRACTS C.12)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway import limits
from gateway.cli.main import commands
from gateway.demo.packages import sdist, wheel
from gateway.errors import StoreError
from gateway.publish import evidence as publish_evidence
from gateway.sandbox import Sandbox, github_identity, slsa_provenance
from tests.lab.gate import GOOD, LabGate, lab_gate

DIGEST = f"sha256:{GOOD.sha256}"
SHA384 = f"sha384:{hashlib.sha384(GOOD.content).hexdigest()}"
SHA512 = f"sha512:{hashlib.sha512(GOOD.content).hexdigest()}"
OTHER = wheel("acme-good", "1.0.0", source="# other\n")
ANOTHER = sdist("acme-good", "2.0.0")


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path) as running:
        yield running


def kept(gate: LabGate) -> int:
    """How many pieces lie in the locker's table, whoever may see them."""
    with sqlite3.connect(gate.database) as connection:
        (count,) = connection.execute("SELECT count(*) FROM locker").fetchone()
    connection.close()
    return int(count)


async def test_evidence_sent_first_lets_a_plain_upload_in(gate: LabGate) -> None:
    assert (await gate.upload(attestations=None))[0] == 403
    assert await gate.codes() == {"evidence-missing"}
    evidence = gate.attestation()
    status, reason, body = await gate.attach(evidence, DIGEST)
    assert (status, reason) == (201, "Created")
    assert json.loads(body) == {"id": hashlib.sha256(evidence).hexdigest()}
    assert (await gate.upload(attestations=None))[0] == 200
    assert await gate.codes() == set()
    ((ref,),) = [tuple(finding.evidence for finding in (await gate.newest()).record.case.findings)]  # type: ignore[union-attr]
    assert (ref.id, ref.source.value) == (hashlib.sha256(evidence).hexdigest(), "locker")


async def test_it_may_be_named_by_a_digest_beside_the_one_it_covers(gate: LabGate) -> None:
    assert (await gate.attach(gate.attestation(), DIGEST, SHA512, DIGEST))[0] == 201
    assert kept(gate) == 2
    assert (await gate.upload(attestations=None))[0] == 200


async def test_sent_twice_it_is_kept_once(gate: LabGate) -> None:
    evidence = gate.attestation()
    first = await gate.attach(evidence, DIGEST)
    assert await gate.attach(evidence, DIGEST) == first
    assert kept(gate) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"not json", b"\x00\xff", b'{"version":1}', b"[[1]]"])
async def test_what_is_no_evidence_is_refused_and_not_kept(gate: LabGate, body: bytes) -> None:
    status, reason, _ = await gate.attach(body, DIGEST)
    assert (status, reason.partition(":")[0]) == (403, "evidence-malformed")
    assert kept(gate) == 0


async def test_evidence_under_no_root_is_refused_and_not_kept(gate: LabGate) -> None:
    by = github_identity()
    stranger = Sandbox.create(gate.at)
    evidence = stranger.attest(slsa_provenance([(GOOD.name, {"sha256": GOOD.sha256})], by), by, gate.at)
    status, reason, _ = await gate.attach(evidence, DIGEST)
    assert (status, reason.partition(":")[0]) == (403, "certificate-untrusted")
    assert kept(gate) == 0


async def test_evidence_that_was_altered_is_refused_and_not_kept(gate: LabGate) -> None:
    altered = json.loads(gate.attestation())
    altered["envelope"]["signature"] = json.loads(gate.attestation(OTHER))["envelope"]["signature"]
    status, reason, _ = await gate.attach(json.dumps(altered).encode(), DIGEST)
    assert (status, reason.partition(":")[0]) == (403, "signature-invalid")
    assert kept(gate) == 0


@pytest.mark.parametrize("digest", [SHA512, "sha256:" + "0" * 64])
async def test_evidence_for_digests_that_it_does_not_cover_is_refused(gate: LabGate, digest: str) -> None:
    status, reason, _ = await gate.attach(gate.attestation(), digest)
    assert (status, reason.partition(":")[0]) == (403, "digest-mismatch")
    assert kept(gate) == 0


async def test_evidence_named_for_another_file_too_is_no_evidence_for_it(gate: LabGate) -> None:
    assert (await gate.attach(gate.attestation(), DIGEST, f"sha256:{OTHER.sha256}"))[0] == 201
    assert (await gate.upload(OTHER, attestations=None))[0] == 403
    assert "evidence-missing" in await gate.codes() or "digest-mismatch" in await gate.codes()
    assert not gate.registry.writes


async def test_a_credential_fills_its_own_place_and_nobody_elses(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "EVIDENCE_PER_DIGEST", 3)
    crowd = await gate.grant("attach")
    wrong = github_identity(repository="acme/other")
    for _ in range(3):
        assert (await gate.attach(gate.attestation(by=wrong), DIGEST, token=crowd))[0] == 201
    status, reason, _ = await gate.attach(gate.attestation(by=wrong), DIGEST, token=crowd)
    assert (status, reason.partition(":")[0]) == (403, "evidence-limit")
    assert kept(gate) == 3
    assert (await gate.attach(gate.attestation(), DIGEST))[0] == 201
    assert (await gate.upload(attestations=None))[0] == 200


@pytest.mark.parametrize(
    "grant",
    [
        {"actions": "publish,read"},
        {"actions": "attach", "packages": "pkg:pypi/other"},
        {"actions": "attach", "registry": "elsewhere"},
    ],
    ids=["may not attach", "another package", "another registry"],
)
async def test_evidence_of_a_grant_that_may_not_attach_to_the_package_does_not_count(
    gate: LabGate, grant: dict[str, str]
) -> None:
    token = await gate.grant(**grant)
    status, reason, _ = await gate.attach(gate.attestation(), DIGEST, token=token)
    if "attach" not in grant["actions"]:
        assert (status, reason.partition(":")[0]) == (403, "credential-scope")
    else:
        assert status == 201
    assert (await gate.upload(attestations=None))[0] == 403
    assert await gate.codes() == {"evidence-missing"}
    assert (await gate.attach(gate.attestation(), DIGEST))[0] == 201
    assert (await gate.upload(attestations=None))[0] == 200


async def test_evidence_of_a_grant_that_was_revoked_does_not_count(gate: LabGate) -> None:
    token = await gate.grant("attach")
    assert (await gate.attach(gate.attestation(), DIGEST, token=token))[0] == 201
    (known,) = [one for one in await gate.store.grants() if one.grant.actions == frozenset({"attach"})]
    assert await gate.store.revoke_grant(known.grant.id, gate.at)
    assert (await gate.upload(attestations=None))[0] == 403
    assert (await gate.attach(gate.attestation(), DIGEST, token=token))[1].startswith("credential-invalid")


async def test_the_same_evidence_of_two_grants_counts_by_the_one_that_may(gate: LabGate) -> None:
    evidence = gate.attestation()
    assert (await gate.attach(evidence, DIGEST, token=await gate.grant("attach", "pkg:pypi/other")))[0] == 201
    assert (await gate.attach(evidence, DIGEST))[0] == 201
    assert (await gate.attach(evidence, DIGEST, token=await gate.grant("attach")))[0] == 201
    assert (await gate.upload(attestations=None))[0] == 200
    case = (await gate.newest()).record.case
    assert case is not None
    assert len(case.findings) == 1  # one piece is verified once, whoever sent it


async def test_junk_beside_good_evidence_never_rejects(gate: LabGate) -> None:
    spoiled = [
        gate.attestation(by=github_identity(repository="evil/libs")),
        gate.attestation(by=github_identity(ref="refs/heads/main")),
        gate.sandbox.attest(
            slsa_provenance([("other-1.0.tar.gz", {"sha256": GOOD.sha256})], github_identity()),
            github_identity(), gate.at,
        ),
        gate.sandbox.attest(
            slsa_provenance([(GOOD.name, {"sha256": GOOD.sha256, "sha512": "0" * 128})], github_identity()),
            github_identity(), gate.at,
        ),
    ]  # fmt: skip
    junk = await gate.grant("attach")
    for evidence in spoiled:
        assert (await gate.attach(evidence, DIGEST, token=junk))[0] == 201
    assert (await gate.upload(attestations=None))[0] == 403
    assert (await gate.upload())[0] == 200  # the publisher's own beside the junk
    case = (await gate.newest()).record.case
    assert case is not None
    assert len(case.findings) == 5  # all of it is recorded


async def test_junk_beside_good_evidence_in_the_locker_never_rejects(gate: LabGate) -> None:
    for by in (github_identity(repository="evil/libs"), github_identity(), github_identity(ref="refs/heads/main")):
        assert (await gate.attach(gate.attestation(by=by), DIGEST))[0] == 201
    assert (await gate.upload(attestations=None))[0] == 200


class Clock:
    """A clock by which every look at it takes this long, and so every piece of evidence."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = 0.0

    def monotonic(self) -> float:
        self.at += self.seconds
        return self.at


async def test_a_spent_budget_leaves_the_publishers_own_evidence(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert (await gate.attach(gate.attestation(by=github_identity(repository="evil/x")), DIGEST))[0] == 201
    monkeypatch.setattr(publish_evidence, "time", Clock(limits.EVIDENCE_SECONDS))  # time for one
    assert (await gate.upload())[0] == 200
    case = (await gate.newest()).record.case
    assert case is not None
    assert [bool(finding.attestation) for finding in case.findings] == [True, False, False, False]


async def test_a_budget_that_junk_would_spend_is_shared_between_those_who_sent(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = await gate.grant("attach")
    for _ in range(8):
        evil = gate.attestation(by=github_identity(repository="evil/x"))
        assert (await gate.attach(evil, DIGEST, token=crowd))[0] == 201
    assert (await gate.attach(gate.attestation(), DIGEST, token=await gate.grant("attach")))[0] == 201
    monkeypatch.setattr(publish_evidence, "time", Clock(limits.EVIDENCE_SECONDS * 0.6))  # time for two
    assert (await gate.upload(attestations=None))[0] == 200


async def test_what_the_publisher_put_there_himself_comes_first(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = gate.attestation(by=github_identity(repository="evil/x"))
    assert (await gate.attach(evil, DIGEST, token=await gate.grant("attach")))[0] == 201
    assert (await gate.attach(gate.attestation(), DIGEST))[0] == 201
    monkeypatch.setattr(publish_evidence, "time", Clock(limits.EVIDENCE_SECONDS))  # time for one
    assert (await gate.upload(attestations=None))[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        "", "digest=", "digest=sha256:", f"digest={GOOD.sha256}", f"digest=sha256:{GOOD.sha256.upper()}",
        "digest=md5:" + "0" * 32, "digest=sha1:" + "0" * 40, f"digest=sha256:{GOOD.sha256}0", "digest=sha256:%00",
        f"digest={DIGEST}&package=x", "digest=\xff", "digest=%ff%fe", f"Digest={DIGEST}",
        "&".join([f"digest={DIGEST}"] * 40), "&" * 5000,
    ],
)  # fmt: skip
async def test_a_query_that_names_no_digest_is_refused(gate: LabGate, query: str) -> None:
    status, reason, _ = await gate.attach(gate.attestation(), query=query)
    assert (status, reason.partition(":")[0]) in {
        (400, "upload-malformed"), (400, "request-malformed"), (413, "upload-too-large"),
    }  # fmt: skip
    assert kept(gate) == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_no_other_method_is_known(gate: LabGate, method: str) -> None:
    status, reason, _ = await gate.attach(b"", DIGEST, method=method)
    assert (status, reason.partition(":")[0]) == (405, "method-unknown")


@pytest.mark.parametrize("encoding", ["gzip", "identity", "br, gzip", ""])
async def test_a_content_encoding_is_refused_unread(gate: LabGate, encoding: str) -> None:
    status, reason, _ = await gate.attach(gate.attestation(), DIGEST, headers={"Content-Encoding": encoding})
    assert (status, reason.partition(":")[0]) == (415, "content-encoding")
    assert kept(gate) == 0


async def test_one_byte_more_than_the_limit_is_refused(gate: LabGate, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = gate.attestation()
    monkeypatch.setattr(limits, "EVIDENCE_BYTES", len(evidence) - 1)
    status, reason, _ = await gate.attach(evidence, DIGEST)
    assert (status, reason.partition(":")[0]) == (413, "upload-too-large")
    monkeypatch.setattr(limits, "EVIDENCE_BYTES", len(evidence))
    assert (await gate.attach(evidence, DIGEST))[0] == 201


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_nobody_unknown_puts_anything_in(gate: LabGate, token: str) -> None:
    status, reason, _ = await gate.attach(gate.attestation(), DIGEST, token=token)
    assert status == 401
    assert reason.partition(":")[0] == ("credential-invalid" if token else "credential-missing")
    assert kept(gate) == 0


@pytest.mark.parametrize("failing", ["put_evidence", "grant_by_id"])
async def test_a_record_that_cannot_be_written_is_a_503(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    async def fails(*_: object) -> None:
        raise StoreError("no space left on device")

    monkeypatch.setattr(gate.store, failing, fails)
    status, reason, _ = await gate.attach(gate.attestation(), DIGEST)
    assert (status, reason.partition(":")[0]) == (503, "record-unavailable")
    assert reason.endswith(f" - {gate.base}/-/reasons/record-unavailable")


async def test_the_command_puts_evidence_in_and_says_why_it_could_not(gate: LabGate, tmp_path: Path) -> None:
    artifact, bundle = tmp_path / GOOD.name, tmp_path / "bundle.json"
    artifact.write_bytes(GOOD.content)
    bundle.write_bytes(gate.attestation(OTHER))

    async def attach(*more: str) -> tuple[int, str]:
        arguments = ["attach", str(artifact), str(bundle), "--gateway", gate.base, "--token", gate.token, *more]
        result = await asyncio.to_thread(CliRunner().invoke, commands, arguments)
        return result.exit_code, result.output

    code, said = await attach()
    assert code == 1
    assert "digest-mismatch" in said
    bundle.write_bytes(gate.attestation())
    code, said = await attach("--json")
    assert code == 0
    assert json.loads(said)["status"] == 201
    assert json.loads(said)["digests"] == [DIGEST, SHA384, SHA512]
    code, said = await attach()
    assert (code, said.startswith(f"kept for {DIGEST}")) == (0, True)
    assert (await gate.upload(attestations=None))[0] == 200
