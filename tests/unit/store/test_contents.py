"""Content by digest: what readers may see follows from what was accepted and what is revoked (CONTRACTS D.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.errors import StoreError
from gateway.model.content import Content, Place, Sight
from gateway.model.digest import Digest
from gateway.model.intent import Intent, Settlement
from gateway.store import Began, Store
from tests.lab import contents as images
from tests.lab import records
from tests.lab.cases import AT
from tests.lab.contents import PLACE, blob, digest, index, manifest

Opener = Callable[[], Awaitable[Store]]
ELSEWHERE = Place("images", "team/other")
SHA512 = Digest("sha512", hashlib.sha512(b"image").hexdigest())


async def journal(store: Store, *contents: Content, place: Place = PLACE) -> None:
    for content in contents:
        await store.contents.journal(place, content, AT)


async def an_image(store: Store) -> None:
    """Journal an image of a config and a layer."""
    await journal(store, blob("config"), blob("layer"), manifest("image", "config", "layer"))


async def accept(store: Store, word: str, tag: str = "latest", id_: str | None = None) -> Intent:
    """Begin the accepted push of a manifest."""
    record = images.record(id_ or f"{tag}={word}", word, tag)
    intent = images.intent(record)
    assert await store.begin(record, intent) == Began()
    return intent


async def publish(store: Store, word: str, tag: str = "latest", id_: str | None = None) -> None:
    intent = await accept(store, word, tag, id_)
    await store.settle(intent.id, Settlement.PUBLISHED, "", AT)


async def sights(store: Store, *words: str, place: Place = PLACE) -> list[Sight]:
    return [await store.contents.sight(place, digest(word)) for word in words]


async def shown(store: Store, *words: str) -> str:
    """Those of the words that are shown, the others left out."""
    return " ".join(word for word, one in zip(words, await sights(store, *words), strict=True) if one is Sight.SHOWN)


async def test_what_was_journalled_reads_back_as_it_was(store: Store) -> None:
    evidence = replace(
        manifest("signature", "empty", "bundle", "bundle", subject="image"),
        artifact_type="application/vnd.dev.sigstore.bundle.v0.3+json",
        annotations=(("b", "2"), ("a", "1 <\u2028>")),
    )
    await journal(store, evidence)
    assert await store.contents.content(PLACE, evidence.digest) == evidence
    for linked in ("empty", "bundle", "image"):
        assert await store.contents.content(PLACE, digest(linked)) is None


async def test_nothing_is_known_of_what_never_came(store: Store) -> None:
    assert await store.contents.content(PLACE, digest("image")) is None
    assert await sights(store, "image") == [Sight.UNKNOWN]


async def test_what_came_is_hidden_until_it_is_accepted_and_then_shown_with_all_it_is_made_of(store: Store) -> None:
    await an_image(store)
    assert await sights(store, "image", "config", "layer") == [Sight.HIDDEN] * 3
    await accept(store, "image")
    assert await sights(store, "image", "config", "layer") == [Sight.SHOWN] * 3


async def test_an_index_shows_its_children_and_an_image_does_not_show_its_index(store: Store) -> None:
    await an_image(store)
    await journal(store, index("index", "image", "arm"), manifest("arm", "layer"))
    await accept(store, "image")
    assert await shown(store, "index", "image", "arm", "config", "layer") == "image config layer"
    await accept(store, "index", "multi")
    assert await sights(store, "index", "image", "arm", "config", "layer") == [Sight.SHOWN] * 5


async def test_an_index_of_an_index_shows_the_layers_at_the_bottom(store: Store) -> None:
    await an_image(store)
    await journal(store, index("inner", "image"), index("outer", "inner"))
    await accept(store, "outer")
    assert await shown(store, "outer", "inner", "image", "layer") == "outer inner image layer"


@pytest.mark.parametrize("order", [("both", "holder"), ("holder", "both")])
async def test_a_layer_that_is_a_manifest_too_is_shown_as_bytes_and_shows_nothing(
    store: Store, order: tuple[str, str]
) -> None:
    await an_image(store)
    made = {"both": manifest("both", "inside"), "holder": manifest("holder", "both", subject="image")}
    await journal(store, blob("both"), blob("inside"), *(made[word] for word in order))
    await accept(store, "image")
    assert await shown(store, "holder", "both", "inside") == "holder both"
    assert await store.contents.sight(PLACE, digest("both"), manifest=True) is Sight.HIDDEN
    assert await store.contents.sight(PLACE, digest("holder"), manifest=True) is Sight.SHOWN
    await accept(store, "both", "2.0")
    assert await store.contents.sight(PLACE, digest("both"), manifest=True) is Sight.SHOWN
    assert await shown(store, "inside") == "inside"
    await store.contents.drop(PLACE, digest("both"))
    assert await shown(store, "holder", "both", "inside") == "holder both"


async def test_a_child_that_comes_after_its_index_was_accepted_is_shown_with_its_layers(store: Store) -> None:
    await journal(store, index("index", "image"))
    await accept(store, "index")
    await an_image(store)
    assert await shown(store, "image", "config", "layer") == "image config layer"


async def test_what_was_there_before_is_never_hidden_and_is_shown_by_what_was_accepted(
    store: Store,
) -> None:
    await journal(store, manifest("image", "base"))
    assert await sights(store, "base") == [Sight.UNKNOWN]
    await accept(store, "image")
    assert await sights(store, "base") == [Sight.SHOWN]


async def test_a_repository_shows_nothing_to_another(store: Store) -> None:
    await an_image(store)
    await journal(store, blob("layer"), place=ELSEWHERE)
    await accept(store, "image")
    assert await sights(store, "image", "config", "layer", place=ELSEWHERE) == [
        Sight.UNKNOWN,
        Sight.UNKNOWN,
        Sight.HIDDEN,
    ]
    other = Place("other", PLACE.repository)
    assert await store.contents.sight(other, digest("image")) is Sight.UNKNOWN
    await journal(store, manifest("image"), place=other)
    await accept(store, "image", "again")
    assert await store.contents.sight(other, digest("image")) is Sight.HIDDEN


async def test_a_manifest_that_came_as_a_blob_first_is_known_with_what_it_is_made_of(store: Store) -> None:
    """Else whoever sends its bytes as a blob first would leave an accepted image without layers."""
    await journal(store, blob("image"), blob("layer"))
    await journal(store, manifest("image", "layer"))
    assert await store.contents.content(PLACE, digest("image")) == manifest("image", "layer")
    await accept(store, "image")
    assert await shown(store, "image", "layer") == "image layer"


async def test_what_is_known_of_content_stays_when_it_comes_again(store: Store) -> None:
    await journal(store, manifest("image", "layer"))
    await accept(store, "image")
    await journal(store, blob("image"), replace(manifest("image", "other"), size=1))
    assert await store.contents.content(PLACE, digest("image")) == manifest("image", "layer")
    assert await shown(store, "image", "other") == "image"


async def test_a_manifest_under_another_algorithm_is_accepted_and_revoked_by_its_sha256(store: Store) -> None:
    await journal(store, replace(manifest("image", "layer"), digest=SHA512))
    assert await store.contents.sight(PLACE, SHA512) is Sight.HIDDEN
    await publish(store, "image")
    assert await store.contents.sight(PLACE, SHA512) is Sight.SHOWN
    assert await store.contents.tag(PLACE, "latest") == SHA512
    await store.revoke_digest(records.sha256("image"), "ops@acme.example", "leaked", AT)
    assert await store.contents.sight(PLACE, SHA512) is Sight.HIDDEN
    assert await sights(store, "layer") == [Sight.UNKNOWN]


# --- evidence -----------------------------------------------------------------------------------------------------


async def test_evidence_is_shown_when_its_subject_is_and_not_before(store: Store) -> None:
    await an_image(store)
    await journal(store, blob("bundle"), manifest("signature", "bundle", subject="image"))
    assert await sights(store, "signature", "bundle") == [Sight.HIDDEN] * 2
    await accept(store, "image")
    assert await sights(store, "signature", "bundle") == [Sight.SHOWN] * 2


async def test_evidence_that_comes_before_or_after_its_accepted_subject_is_shown(store: Store) -> None:
    await journal(store, manifest("before", subject="image"))
    await an_image(store)
    await accept(store, "image")
    await journal(store, manifest("after", "bundle", subject="image"))
    assert await shown(store, "before", "after", "bundle") == "before after bundle"


async def test_what_comes_first_without_a_subject_is_evidence_once_it_has_one(store: Store) -> None:
    await an_image(store)
    await accept(store, "image")
    await journal(store, manifest("signature", "bundle"))
    assert await sights(store, "signature") == [Sight.HIDDEN]
    await journal(store, manifest("signature", "bundle", subject="image"), manifest("signature", subject="other"))
    assert await sights(store, "signature") == [Sight.SHOWN]
    assert await store.contents.referrers(PLACE, digest("image")) == (manifest("signature", "bundle", subject="image"),)
    assert await store.contents.referrers(PLACE, digest("other")) == ()


async def test_accepted_evidence_does_not_show_its_subject(store: Store) -> None:
    await journal(store, manifest("image"), manifest("signature", subject="image"))
    await accept(store, "signature")
    assert await shown(store, "image", "signature") == "signature"


async def test_what_only_states_a_subject_is_among_its_referrers_and_waits_for_itself(store: Store) -> None:
    await an_image(store)
    sbom = replace(manifest("sbom", "document"), refers=digest("image"))
    await journal(store, sbom)
    await publish(store, "image")
    assert await store.contents.referrers(PLACE, digest("image")) == (sbom,)
    assert await sights(store, "image", "sbom") == [Sight.SHOWN, Sight.HIDDEN]
    await publish(store, "sbom", str(digest("sbom")))
    assert await sights(store, "sbom", "document") == [Sight.SHOWN, Sight.SHOWN]
    assert list(await store.contents.tags(PLACE)) == ["latest"]


async def test_referrers_are_listed_oldest_first_and_only_of_their_own_subject(store: Store) -> None:
    for n, word in enumerate(("b", "a", "c")):
        await store.contents.journal(PLACE, manifest(word, subject="image"), AT + timedelta(seconds=n))
    await journal(store, manifest("d", "image", subject="other"))
    # One that came as a blob first is as old as that.
    await journal(store, blob("e"))
    await store.contents.journal(PLACE, manifest("e", "bundle", subject="image"), AT + timedelta(seconds=9))
    await journal(store, manifest("e", subject="image"), place=ELSEWHERE)
    assert [one.digest for one in await store.contents.referrers(PLACE, digest("image"))] == list(map(digest, "beac"))


# --- what is taken back -------------------------------------------------------------------------------------------


async def test_a_revoked_digest_is_hidden_known_or_not_and_everywhere(store: Store) -> None:
    await journal(store, blob("layer"), place=ELSEWHERE)
    await store.revoke_digest(records.sha256("layer"), "ops@acme.example", "leaked", AT)
    assert await sights(store, "layer") == [Sight.HIDDEN]
    assert await sights(store, "layer", place=ELSEWHERE) == [Sight.HIDDEN]


async def test_revoking_an_image_hides_what_is_shown_for_its_sake_alone(store: Store) -> None:
    await an_image(store)
    await journal(store, manifest("second", "config"), index("index", "image"), manifest("proof", subject="image"))
    await accept(store, "second")
    await accept(store, "index", "multi")
    words = ("index", "image", "proof", "layer", "second", "config")
    assert await shown(store, *words) == " ".join(words)
    await store.revoke_digest(records.sha256("image"), "ops@acme.example", "leaked", AT)
    assert await shown(store, *words) == "index second config"


async def test_revoking_a_layer_hides_the_layer_alone(store: Store) -> None:
    await an_image(store)
    await accept(store, "image")
    await store.revoke_digest(records.sha256("layer"), "ops@acme.example", "leaked", AT)
    assert await sights(store, "image", "config", "layer") == [Sight.SHOWN, Sight.SHOWN, Sight.HIDDEN]


async def test_what_was_revoked_before_it_came_shows_nothing_below_it(store: Store) -> None:
    await store.revoke_digest(records.sha256("image"), "ops@acme.example", "leaked", AT)
    await an_image(store)
    await journal(store, index("index", "image"))
    await accept(store, "index")
    assert await sights(store, "index", "image", "layer") == [Sight.SHOWN, Sight.HIDDEN, Sight.HIDDEN]


async def test_deleted_content_is_hidden_with_what_it_alone_showed_and_its_tags_are_gone(store: Store) -> None:
    await an_image(store)
    await journal(store, manifest("second", "config"))
    await publish(store, "image", "1.0")
    await publish(store, "image", "latest")
    await publish(store, "second", "2.0")
    await store.contents.drop(PLACE, digest("image"))
    assert await sights(store, "image", "layer", "config") == [Sight.HIDDEN, Sight.HIDDEN, Sight.SHOWN]
    assert await store.contents.tags(PLACE) == {"2.0": digest("second")}
    await store.contents.drop(PLACE, digest("never came"))


async def test_content_deleted_in_one_repository_keeps_its_tags_in_another(store: Store) -> None:
    record = images.record("elsewhere", "image")
    assert record.case is not None
    there = replace(record, case=replace(record.case, upload=images.upload("image", "1.0", ELSEWHERE)))
    await journal(store, manifest("image"))
    await journal(store, manifest("image"), place=ELSEWHERE)
    await publish(store, "image", "1.0")
    await store.begin(there, images.intent(there))
    await store.settle("elsewhere", Settlement.PUBLISHED, "", AT)
    await store.contents.drop(PLACE, digest("image"))
    assert await store.contents.tags(PLACE) == {}
    assert await store.contents.tags(ELSEWHERE) == {"1.0": digest("image")}
    assert await sights(store, "image", place=ELSEWHERE) == [Sight.SHOWN]


async def test_deleted_evidence_is_no_referrer_until_it_comes_again(store: Store) -> None:
    await an_image(store)
    await accept(store, "image")
    evidence = replace(manifest("signature", "bundle", subject="image"), refers=digest("image"))
    await journal(store, evidence)
    await store.contents.drop(PLACE, evidence.digest)
    assert await store.contents.referrers(PLACE, digest("image")) == ()
    assert await sights(store, "signature") == [Sight.HIDDEN]
    await journal(store, evidence)
    assert await store.contents.referrers(PLACE, digest("image")) == (evidence,)
    assert await sights(store, "signature") == [Sight.SHOWN]


# --- tags ---------------------------------------------------------------------------------------------------------


async def test_a_tag_has_what_was_published_last_and_not_what_is_under_way(store: Store) -> None:
    for word in ("one", "two"):
        await journal(store, manifest(word))
    first = await accept(store, "one")
    assert await store.contents.tag(PLACE, "latest") is None
    assert await store.contents.tags(PLACE) == {}
    await store.settle(first.id, Settlement.PUBLISHED, "", AT)
    second = await accept(store, "two")
    assert await store.contents.tag(PLACE, "latest") == digest("one")
    await store.settle(second.id, Settlement.PUBLISHED, "", AT)
    assert await store.contents.tag(PLACE, "latest") == digest("two")


async def test_tags_are_those_of_the_repository_in_the_order_of_their_text(store: Store) -> None:
    for tag in ("b", "B", "a-1", "a", "_"):
        await publish(store, "image", tag)
    for name in ("team/app2", "team/app-x", "team/app/x"):
        record = replace(images.record(name, "image"), case=None)
        case = images.record("x", "image").case
        assert case is not None
        other = replace(record, case=replace(case, upload=images.upload("image", "z", Place("images", name))))
        await store.begin(other, images.intent(other))
        await store.settle(name, Settlement.PUBLISHED, "", AT)
    assert list(await store.contents.tags(PLACE)) == ["B", "_", "a", "a-1", "b"]


async def test_a_deleted_tag_is_free_and_one_under_way_stays_reserved(store: Store) -> None:
    await publish(store, "one")
    await store.contents.untag(PLACE, "latest")
    assert await store.contents.tag(PLACE, "latest") is None
    await publish(store, "one", id_="again")
    second = await accept(store, "two")
    await store.contents.untag(PLACE, "latest")
    assert await store.contents.tag(PLACE, "latest") is None
    await store.settle(second.id, Settlement.PUBLISHED, "", AT)
    assert await store.contents.tag(PLACE, "latest") == digest("two")
    history = await store.history(images.upload("two"))
    assert [one.sha256 for one in history.release] == [records.sha256("two")]


async def test_a_deleted_tag_stays_in_the_history(store: Store) -> None:
    await publish(store, "one")
    await store.contents.untag(PLACE, "latest")
    history = await store.history(images.upload("two"))
    assert history.bound == ()
    assert [one.sha256 for one in history.release] == [records.sha256("one")]


# --- versions -----------------------------------------------------------------------------------------------------


async def test_the_version_changes_with_every_commit(store: Store) -> None:
    versions = [store.contents.version()]
    await an_image(store)
    versions.append(store.contents.version())
    await accept(store, "image")
    versions.append(store.contents.version())
    assert versions == sorted(set(versions))
    assert store.contents.version() == versions[-1]


async def test_the_version_is_a_fault_where_the_record_could_not_be_read(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise StoreError("disk I/O error")

    monkeypatch.setattr("gateway.store.sqlite.history.withheld", broken)
    with pytest.raises(StoreError):
        await an_image(store)
    with pytest.raises(StoreError, match="not known"):
        store.contents.version()


async def test_everything_survives_a_second_opening(store: Store, opened: Opener) -> None:
    await an_image(store)
    await publish(store, "image")
    await store.close()
    again = await opened()
    assert await again.contents.tags(PLACE) == {"latest": digest("image")}
    assert await again.contents.content(PLACE, digest("image")) == manifest("image", "config", "layer")
    assert await shown(again, "image", "config", "layer") == "image config layer"
