"""The locker, and what is kept to be served again (CONTRACTS C.12)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import limits
from gateway.model.digest import Digest
from gateway.model.evidence import Format, Source
from gateway.store import Store
from tests.lab import records
from tests.lab.cases import AT

ONE, TWO = Digest("sha256", records.sha256("one")), Digest("sha512", "ab" * 64)


async def test_the_locker_gives_evidence_under_each_digest_with_its_sender(store: Store) -> None:
    piece = records.evidence()
    assert await store.put_evidence(piece, [ONE, TWO, ONE], "grant-1", AT)
    expected = replace(piece, ref=replace(piece.ref, source=Source.LOCKER, position=0))
    for digests in ([ONE], [TWO], [TWO, ONE]):
        assert await store.evidence_for(digests) == ((expected, "grant-1"),)
    assert await store.evidence_for([Digest("sha256", TWO.value)]) == ()
    assert await store.evidence_for([]) == ()


async def test_evidence_of_several_senders_comes_oldest_first(store: Store) -> None:
    await store.put_evidence(records.evidence("b"), [ONE], "grant-2", AT)
    await store.put_evidence(records.evidence("a"), [TWO], "grant-1", AT)
    await store.put_evidence(records.evidence("b"), [ONE], "grant-1", AT)
    found = await store.evidence_for([ONE, TWO])
    assert [(piece.body, grant, piece.ref.position) for piece, grant in found] == [
        (b"b", "grant-2", 0),
        (b"a", "grant-1", 1),
        (b"b", "grant-1", 2),
    ]


async def test_a_full_place_takes_no_more_and_leaves_others_their_room(store: Store) -> None:
    pieces = [records.evidence(str(n)) for n in range(limits.EVIDENCE_PER_DIGEST + 1)]
    assert [await store.put_evidence(piece, [ONE], "grant-1", AT) for piece in pieces] == [True] * (len(pieces) - 1) + [
        False
    ]
    assert not await store.put_evidence(pieces[-1], [TWO, ONE], "grant-1", AT)
    assert await store.evidence_for([TWO]) == ()
    assert await store.put_evidence(pieces[0], [ONE], "grant-1", AT)
    assert await store.put_evidence(pieces[-1], [ONE], "grant-2", AT)
    assert await store.put_evidence(pieces[-1], [TWO], "grant-1", AT)
    assert len(await store.evidence_for([ONE])) == len(pieces)


async def test_whoever_sends_bytes_first_does_not_say_what_they_are_for_others(store: Store) -> None:
    await store.put_evidence(records.evidence(form=Format.UNKNOWN), [ONE], "grant-1", AT)
    await store.put_evidence(records.evidence(form=Format.PEP740), [ONE], "grant-2", AT)
    await store.keep_evidence(records.evidence(form=Format.BUNDLE), [ONE], "grant-3", AT)
    assert [piece.ref.format for piece, _ in await store.evidence_for([ONE])] == [Format.UNKNOWN, Format.PEP740]
    assert [piece.ref.format for piece, _ in await store.kept_evidence(ONE)] == [Format.BUNDLE]


async def test_kept_evidence_can_be_served_again_and_is_not_in_the_locker(store: Store) -> None:
    first, second = records.evidence("a"), records.evidence("b")
    for piece in (first, second, first):
        await store.keep_evidence(piece, [ONE, TWO], "grant-1", AT)
    kept = await store.kept_evidence(TWO)
    assert kept == ((first, "grant-1"), (replace(second, ref=replace(second.ref, position=1)), "grant-1"))
    assert await store.evidence_for([ONE, TWO]) == ()


async def test_evidence_under_an_id_that_is_not_its_digest_is_a_bug(store: Store) -> None:
    wrong = replace(records.evidence("a"), body=b"b")
    with pytest.raises(ValueError, match="sha256 of its bytes"):
        await store.put_evidence(wrong, [ONE], "grant-1", AT)
    with pytest.raises(ValueError, match="sha256 of its bytes"):
        await store.keep_evidence(wrong, [ONE], "grant-1", AT)
    assert await store.evidence_for([ONE]) == ()
