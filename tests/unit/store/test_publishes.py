"""Records, intents and names: reserving, stepping, settling (CONTRACTS E.1, E.2)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.errors import StoreError
from gateway.model.decision import Outcome
from gateway.model.intent import Record, Settlement, Step
from gateway.store import Began, Cause, Conflict, Query, Store
from tests.lab import cases, records
from tests.lab.cases import AT, WHEEL

GOOD, OTHER = records.sha256("good"), records.sha256("other")


async def begin(store: Store, record: Record) -> Began | Conflict:
    return await store.begin(record, records.intent(record))


async def publish(store: Store, record: Record, settlement: Settlement = Settlement.PUBLISHED) -> None:
    assert await begin(store, record) == Began()
    await store.settle(record.id, settlement, "", AT)


def other_bytes(id_: str) -> Record:
    return records.record(id_, records.upload(records.file(content="other")))


async def test_a_record_comes_back_as_it_was_written(store: Store) -> None:
    record = records.record("one")
    await begin(store, record)
    written = await store.record("one")
    assert written is not None
    assert written.record == record
    assert written.intent == records.intent(record)
    assert await store.record("two") is None


async def test_a_record_of_a_refusal_without_an_upload_is_written_without_an_intent(store: Store) -> None:
    refused = records.record("one", case=None, decision=records.decision(outcome=Outcome.REJECT))
    assert await store.begin(refused, None) == Began()
    written = await store.record("one")
    assert written is not None
    assert (written.record, written.intent) == (refused, None)
    assert store.withheld("python") == {}


async def test_a_second_publish_of_an_open_name_conflicts_and_leaves_nothing(store: Store) -> None:
    await begin(store, records.record("one"))
    for record in (records.record("two"), other_bytes("two")):
        conflict = await begin(store, record)
        assert conflict == Conflict(WHEEL, GOOD, Cause.OPEN, "one")
        assert conflict.open
        assert await store.record("two") is None


async def test_an_upload_of_several_files_reserves_all_or_none(store: Store) -> None:
    await begin(store, records.record("one"))
    both = records.record("two", records.upload(records.file("a.tar.gz"), records.file()))
    assert isinstance(await begin(store, both), Conflict)
    assert set(store.withheld("python")) == {WHEEL}


async def test_the_same_name_in_another_registry_is_another_name(store: Store) -> None:
    await publish(store, records.record("one"))
    assert await begin(store, records.record("two", records.upload(registry="staging"))) == Began()


async def test_a_published_name_takes_its_own_bytes_again_and_no_others(store: Store) -> None:
    await publish(store, records.record("one"))
    assert await begin(store, other_bytes("two")) == Conflict(WHEEL, GOOD, Cause.BOUND)
    assert await begin(store, records.record("three")) == Began()
    assert await begin(store, records.record("four")) == Conflict(WHEEL, GOOD, Cause.OPEN, "three")


@pytest.mark.parametrize("settlement", [Settlement.ABSENT, Settlement.REFUSED])
async def test_a_name_that_was_not_published_is_free_again(store: Store, settlement: Settlement) -> None:
    await publish(store, records.record("one"), settlement)
    assert await begin(store, other_bytes("two")) == Began()


@pytest.mark.parametrize("settlement", [Settlement.ABSENT, Settlement.REFUSED])
async def test_a_published_name_stays_bound_when_a_repetition_fails(store: Store, settlement: Settlement) -> None:
    await publish(store, records.record("one"))
    await publish(store, records.record("two"), settlement)
    assert await begin(store, other_bytes("three")) == Conflict(WHEEL, GOOD, Cause.BOUND)
    assert store.withheld("python") == {}


async def test_a_damaged_name_is_kept_from_everyone_until_it_is_mended(store: Store) -> None:
    await publish(store, records.record("one"), Settlement.DAMAGED)
    assert await begin(store, records.record("two")) == Conflict(WHEEL, GOOD, Cause.DAMAGED, "one")
    assert store.withheld("python") == {WHEEL: GOOD}
    await store.settle("one", Settlement.DAMAGED, "still", AT)
    await store.settle("one", Settlement.ABSENT, "", AT)
    assert store.withheld("python") == {}
    assert await begin(store, other_bytes("two")) == Began()


async def test_a_published_name_that_was_damaged_and_removed_stays_bound(store: Store) -> None:
    await publish(store, records.record("one"))
    await publish(store, records.record("two"), Settlement.DAMAGED)
    await store.settle("two", Settlement.ABSENT, "", AT)
    assert await begin(store, other_bytes("three")) == Conflict(WHEEL, GOOD, Cause.BOUND)
    assert await begin(store, records.record("four")) == Began()
    assert await begin(store, records.record("five")) == Conflict(WHEEL, GOOD, Cause.OPEN, "four")


async def test_revoked_bytes_cannot_begin(store: Store) -> None:
    await store.revoke_digest(GOOD, "ops@acme.example", "leaked", AT)
    assert await begin(store, records.record("one")) == Conflict(WHEEL, GOOD, Cause.REVOKED)


async def test_an_intent_moves_forward_only(store: Store) -> None:
    await begin(store, records.record("one"))
    await store.step("one", Step.FORWARDING)
    await store.step("one", Step.FORWARDED)
    for step in (Step.FORWARDING, Step.DECIDED, Step.SETTLED):
        with pytest.raises(StoreError, match="cannot go"):
            await store.step("one", step)
    intent = await store.intent("one")
    assert intent is not None
    assert intent.step is Step.FORWARDED


async def test_a_settled_intent_stays_as_it_is(store: Store) -> None:
    await publish(store, records.record("one"))
    await store.settle("one", Settlement.PUBLISHED, "", AT)
    with pytest.raises(StoreError, match="cannot become absent"):
        await store.settle("one", Settlement.ABSENT, "", AT)
    with pytest.raises(StoreError, match="not open"):
        await store.step("one", Step.FORWARDING)


async def test_an_intent_that_never_began_cannot_be_settled(store: Store) -> None:
    with pytest.raises(StoreError, match="no publish"):
        await store.settle("one", Settlement.PUBLISHED, "", AT)
    with pytest.raises(StoreError, match="not open"):
        await store.step("one", Step.FORWARDING)


async def test_open_and_damaged_intents_are_listed_oldest_first(store: Store) -> None:
    names = ["a.whl", "b.whl", "c.whl", "d.whl"]
    for name in names:
        await begin(store, records.record(name, records.upload(records.file(name))))
    await store.settle("b.whl", Settlement.PUBLISHED, "", AT)
    await store.settle("c.whl", Settlement.DAMAGED, "the registry serves other bytes", AT)
    listed = await store.open_intents()
    assert [intent.id for intent in listed] == ["a.whl", "c.whl", "d.whl"]
    assert listed[1].problem == "the registry serves other bytes"
    assert listed[1].step is Step.SETTLED


async def test_a_record_is_written_once(store: Store) -> None:
    await store.begin(records.record("one"), None)
    with pytest.raises(StoreError, match="UNIQUE"):
        await store.begin(records.record("one"), None)


async def test_an_intent_of_another_record_is_a_bug_and_nothing_is_written(store: Store) -> None:
    with pytest.raises(ValueError, match="of the record"):
        await store.begin(records.record("one"), records.intent(records.record("two")))
    assert await store.record("one") is None


# --- searching ----------------------------------------------------------------------------------------------------


async def filled(store: Store) -> None:
    for n in range(5):
        upload = records.upload(records.file(f"{n}.whl", f"content {n}"), version=f"1.{n}")
        outcome = Outcome.REJECT if n % 2 else Outcome.ACCEPT
        record = records.record(str(n), upload, decision=records.decision(outcome=outcome), grant=f"token-{n % 2}")
        await store.begin(record, None)
    await store.begin(records.record("npm", records.upload(registry="staging", purl="pkg:pypi/other")), None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), ["npm", "4", "3", "2", "1", "0"]),
        (Query(registry="python"), ["4", "3", "2", "1", "0"]),
        (Query(purl="pkg:pypi/other"), ["npm"]),
        (Query(version="1.3"), ["3"]),
        (Query(outcome=Outcome.REJECT), ["3", "1"]),
        (Query(sha256=records.sha256("content 2")), ["2"]),
        (Query(sha256=records.sha256("nothing")), []),
        (Query(grant="token-1"), ["3", "1"]),
        (Query(limit=2), ["npm", "4"]),
        (Query(before="3"), ["2", "1", "0"]),
        (Query(before="3", limit=1, outcome=Outcome.ACCEPT), ["2"]),
        (Query(before="unknown"), []),
    ],
)
async def test_records_are_found_by_what_they_are_about(store: Store, query: Query, expected: list[str]) -> None:
    await filled(store)
    assert [written.record.id for written in await store.records(query)] == expected


# --- history ------------------------------------------------------------------------------------------------------


async def test_a_new_name_has_no_history(store: Store) -> None:
    history = await store.history(records.upload())
    assert (history.first_publish, history.release, history.bound, history.revoked) == (None, (), (), frozenset())


async def test_history_holds_the_release_its_signer_and_what_its_names_are_bound_to(store: Store) -> None:
    await publish(store, records.record("one", records.upload(records.file("a.tar.gz"))))
    await store.settle("one", Settlement.PUBLISHED, "", AT + timedelta(days=1))
    sibling = await store.history(records.upload())
    assert sibling.first_publish == AT
    assert sibling.release == (cases.published(canonical="a.tar.gz", sha256=GOOD, at=AT, signer=cases.ci()),)
    assert sibling.bound == ()
    again = await store.history(records.upload(records.file("a.tar.gz", "other")))
    assert again.bound == (("a.tar.gz", GOOD),)


async def test_another_version_is_another_release_of_the_same_package(store: Store) -> None:
    await publish(store, records.record("one"))
    history = await store.history(records.upload(records.file("b.whl"), canonical_version="2"))
    assert history.first_publish == AT
    assert history.release == ()


@pytest.mark.parametrize("near", [{"registry": "staging"}, {"purl": "pkg:pypi/acme-lib2"}])
async def test_another_package_or_registry_has_a_history_of_its_own(store: Store, near: dict[str, str]) -> None:
    await publish(store, records.record("one"))
    history = await store.history(records.upload(records.file("b.whl"), **near))
    assert (history.first_publish, history.release) == (None, ())


async def test_what_was_only_observed_is_no_first_publish_and_is_marked(store: Store) -> None:
    await publish(store, records.record("one", decision=records.decision(observed=True)))
    history = await store.history(records.upload())
    assert history.first_publish is None
    assert [published.observed for published in history.release] == [True]
    assert history.bound == ((WHEEL, GOOD),)


async def test_an_enforced_repetition_of_what_was_observed_counts_from_then(store: Store) -> None:
    observed = records.decision(observed=True, signer=None)
    await publish(store, records.record("one", decision=observed))
    assert await begin(store, records.record("two")) == Began()
    await store.settle("two", Settlement.PUBLISHED, "", AT + timedelta(days=1))
    history = await store.history(records.upload())
    assert history.first_publish == AT + timedelta(days=1)
    assert [(one.observed, one.signer) for one in history.release] == [(False, cases.ci())]
    await publish(store, records.record("three", decision=observed))
    assert await store.history(records.upload()) == history


@pytest.mark.parametrize("settlement", [Settlement.ABSENT, Settlement.REFUSED, Settlement.DAMAGED])
async def test_only_what_was_published_is_history(store: Store, settlement: Settlement) -> None:
    await publish(store, records.record("one"), settlement)
    history = await store.history(records.upload())
    assert (history.first_publish, history.release, history.bound) == (None, (), ())


async def test_history_names_the_withdrawn_among_the_uploads_files(store: Store) -> None:
    await store.revoke_digest(GOOD, "ops@acme.example", "leaked", AT)
    history = await store.history(records.upload(records.file(), records.file("b.whl", "other")))
    assert history.revoked == {GOOD}


# --- what readers may see -----------------------------------------------------------------------------------------


async def test_a_file_is_withheld_while_its_publish_is_open(store: Store) -> None:
    await begin(store, records.record("one"))
    assert store.withheld("python") == {WHEEL: GOOD}
    assert store.withheld("staging") == {}
    await store.step("one", Step.FORWARDED)
    assert store.withheld("python") == {WHEEL: GOOD}
    await store.settle("one", Settlement.PUBLISHED, "", AT)
    assert store.withheld("python") == {}


async def test_withdrawn_bytes_are_withheld_under_every_name_they_were_published_under(store: Store) -> None:
    await publish(store, records.record("one", records.upload(records.file("a.whl"))))
    await publish(store, records.record("two", records.upload(records.file("b.whl"), registry="staging")))
    await publish(store, records.record("three", records.upload(records.file("c.whl", "other"))))
    await store.revoke_digest(GOOD, "ops@acme.example", "leaked", AT)
    assert store.withheld("python") == {"a.whl": GOOD}
    assert store.withheld("staging") == {"b.whl": GOOD}
    assert store.revoked() == {GOOD}
    await store.revoke_digest(GOOD, "other@acme.example", "again", AT + timedelta(1))
    (revocation,) = await store.revocations()
    assert (revocation.sha256, revocation.person, revocation.why, revocation.at) == (
        GOOD,
        "ops@acme.example",
        "leaked",
        AT,
    )


async def test_bytes_that_were_never_published_can_be_withdrawn(store: Store) -> None:
    await store.revoke_digest(GOOD, "ops@acme.example", "leaked", AT)
    assert store.revoked() == {GOOD}
    assert store.withheld("python") == {}


async def test_what_was_accepted_grows_with_each_publish(store: Store) -> None:
    await publish(store, records.record("one"))
    accepted = await store.accepted("python")
    assert accepted == {WHEEL: GOOD}
    await begin(store, records.record("two", records.upload(records.file("b.whl", "other"))))
    assert accepted == {WHEEL: GOOD}
    await store.settle("two", Settlement.PUBLISHED, "", AT)
    assert accepted == {WHEEL: GOOD, "b.whl": OTHER}
    assert await store.accepted("python") == accepted
    assert await store.accepted("staging") == {}
