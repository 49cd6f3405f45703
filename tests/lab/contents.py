"""Content and holds as a push of images writes them, made of words: the digest of `a` is the sha256 of its letter."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from gateway.model.content import Content, Hold, Place
from gateway.model.decision import Outcome
from gateway.model.digest import Digest
from gateway.model.intent import Intent, Record
from gateway.model.upload import File, Registry, Upload
from tests.lab import cases, records
from tests.lab.cases import AT

PLACE = Place("images", "team/app")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(word: str) -> Digest:
    """The digest of what this word stands for."""
    return Digest("sha256", records.sha256(word))


def blob(word: str) -> Content:
    """A layer or a config whose bytes are this word."""
    return Content(digest(word), len(word), LAYER, records.sha256(word))


def manifest(word: str, *links: str, subject: str | None = None) -> Content:
    """A manifest made of these, or evidence about a subject."""
    return Content(
        digest(word),
        len(word),
        MANIFEST,
        records.sha256(word),
        links=tuple(map(digest, links)),
        subject=None if subject is None else digest(subject),
    )


def index(word: str, *children: str) -> Content:
    """An index of these manifests."""
    made = manifest(word, *children)
    return replace(made, children=frozenset(made.links))


def upload(word: str, tag: str = "latest", place: Place = PLACE) -> Upload:
    """A push of one manifest under a tag."""
    name = f"{place.repository}:{tag}"
    file = File(name, name, len(word), (digest(word),), frozenset({place.repository}))
    purl = f"pkg:oci/{place.repository}"
    return Upload(Registry(place.registry, "oci"), purl, place.repository, tag, tag, (file,), movable=True)


def record(id_: str, word: str, tag: str = "latest", *, at: datetime = AT, observed: bool = False) -> Record:
    """A push that is accepted."""
    decision = records.decision(observed=observed)
    return Record(id_, at, cases.case(of=upload(word, tag), at=at), decision, PLACE.registry, "grant-1")


def intent(of: Record, *, hold: str | None = None) -> Intent:
    """The intent of a push."""
    return replace(records.intent(of), movable=True, hold=hold)


def held(id_: str, word: str, tag: str = "latest", *, at: datetime = AT) -> tuple[Record, Hold]:
    """A push that waits for its evidence, for half an hour."""
    accepted = record(id_, word, tag, at=at)
    waits = replace(accepted, decision=replace(accepted.decision, outcome=Outcome.HOLD, signer=None))
    deadline = at + timedelta(minutes=30)
    return waits, Hold(id_, PLACE, tag, digest(word), records.sha256(word), None, "grant-1", at, deadline)
