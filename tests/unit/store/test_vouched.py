"""What the gateway vouches for: written with the publish that it is of, or by an operator, never for other bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.model.digest import Digest
from gateway.model.evidence import Attestation, EvidenceRef, Finding, Format, Source, Subject
from gateway.model.intent import Settlement
from gateway.model.upload import File
from gateway.model.vouched import Proof, Vouched, vouched_for
from gateway.store import Cause, Conflict, Store
from tests.lab import cases, records
from tests.lab.cases import AT
from tests.unit.store.conftest import Opener

NAME = cases.WHEEL
SHA512 = "ab" * 64
GOOD = Vouched(records.sha256("good"), SHA512)
OTHER = Vouched(records.sha256("other"), "cd" * 64)


def measured(content: str = "good", sha512: str = SHA512) -> File:
    digests = (Digest("sha256", records.sha256(content)), Digest("sha512", sha512))
    return cases.file(name=NAME, canonical=NAME, digests=digests)


async def publish(store: Store, id_: str, *files: File, settlement: Settlement = Settlement.PUBLISHED) -> None:
    record = records.record(id_, records.upload(*files))
    await store.begin(record, records.intent(record))
    await store.settle(id_, settlement, "", AT)


async def refusal(store: Store, of: Vouched) -> Conflict | None:
    """Why bytes are not vouched for, asked before and while trying."""
    asked = await store.vouch_conflict("python", NAME, of.sha256)
    assert await store.vouch("python", NAME, of, "me", AT) == asked
    return asked


async def test_what_is_published_is_vouched_for_once_it_went_through(store: Store, opened: Opener) -> None:
    assert await store.vouched("python") == {}
    await publish(store, "a", measured(), settlement=Settlement.ABSENT)
    assert await store.vouched("python") == {}
    await publish(store, "b", measured())
    assert await store.vouched("python") == {NAME: GOOD}
    assert await store.vouched("other") == {}
    assert await (await opened()).vouched("python") == {NAME: GOOD}


async def test_a_file_without_a_sha512_is_not_vouched_for(store: Store) -> None:
    await publish(store, "a", records.file())
    assert await store.vouched("python") == {}


async def test_an_operator_vouches_for_what_was_there_before(store: Store) -> None:
    assert await store.vouch_conflict("python", NAME, GOOD.sha256) is None
    assert await store.vouched("python") == {}
    for _ in range(2):
        assert await store.vouch("python", NAME, GOOD, "me", AT) is None
    assert await store.vouched("python") == {NAME: GOOD}


async def test_nobody_vouches_for_other_bytes_of_a_name(store: Store) -> None:
    assert await store.vouch("python", NAME, GOOD, "me", AT) is None
    assert await refusal(store, OTHER) == Conflict(NAME, GOOD.sha256, Cause.BOUND)
    assert await store.vouched("python") == {NAME: GOOD}


@pytest.mark.parametrize("sha512", [True, False])
async def test_nobody_vouches_for_other_bytes_than_were_published(store: Store, *, sha512: bool) -> None:
    await publish(store, "a", measured() if sha512 else records.file())
    assert await refusal(store, OTHER) == Conflict(NAME, GOOD.sha256, Cause.BOUND)
    assert await store.vouch("python", NAME, GOOD, "me", AT) is None
    assert await store.vouched("python") == {NAME: GOOD}


async def test_nobody_vouches_for_what_was_withdrawn(store: Store) -> None:
    await store.revoke_digest(GOOD.sha256, "me", "evil", AT)
    assert await refusal(store, GOOD) == Conflict(NAME, GOOD.sha256, Cause.REVOKED)


async def test_a_publish_adds_its_proofs_to_what_an_operator_vouched_for(store: Store) -> None:
    await store.vouch("python", NAME, GOOD, "me", AT)
    seen = await store.vouched("python")
    case = cases.case(of=records.upload(measured()), findings=(finding(),))
    record = records.record("a", case=case)
    await store.begin(record, records.intent(record))
    await store.settle("a", Settlement.PUBLISHED, "", AT)
    assert seen[NAME].proofs == (PROOF,)


SUBJECT = Subject("pkg:npm/widget@1.0.0", (Digest("sha512", SHA512),))
WEAKER = Digest("sha256", records.sha256("good"))
PROOF = Proof("e" * 64, "public", "https://slsa.dev/provenance/v1", "pkg:npm/widget@1.0.0")


def finding(form: Format = Format.BUNDLE, **changed: object) -> Finding:
    attestation = Attestation(
        "public", "0" * 64, None, "key", AT, "log", "https://slsa.dev/provenance/v1", covers=(SUBJECT,)
    )
    return Finding(EvidenceRef("e" * 64, form, Source.REQUEST), "public", replace(attestation, **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (finding(), (PROOF,)),
        (finding(covers=(SUBJECT, SUBJECT)), (replace(PROOF, subject=None),)),
        (finding(covers=(replace(SUBJECT, digests=(WEAKER,)),)), (replace(PROOF, subject=None),)),
        (finding(covers=(replace(SUBJECT, digests=(*SUBJECT.digests, WEAKER)),)), (PROOF,)),
        (finding(covers=(replace(SUBJECT, name=None),)), (replace(PROOF, subject=None),)),
        (finding(covers=(replace(SUBJECT, digests=(Digest("sha512", "cd" * 64),)),)), ()),
        (finding(predicate_type=None), ()),
        (finding(Format.DSSE), ()),
        (Finding(EvidenceRef("e" * 64, Format.BUNDLE, Source.REQUEST), "public", reasons=cases.failed().reasons), ()),
    ],
)
def test_proof_is_a_bundle_that_verified_and_covers_the_file(given: Finding, expected: tuple[Proof, ...]) -> None:
    (vouched,) = vouched_for(cases.case(of=records.upload(measured()), findings=(given,))).values()
    assert vouched == replace(GOOD, proofs=expected)
