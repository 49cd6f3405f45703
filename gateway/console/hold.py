"""How a hold stands, in words, for pages and commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.model.content import Ending, Hold

VERDICTS: Final = {
    None: "On hold",
    Ending.RELEASED: "Released",
    Ending.EXPIRED: "Expired",
    Ending.SUPERSEDED: "Superseded",
    Ending.REFUSED: "Refused",
}
_ENDINGS: Final = {
    Ending.RELEASED: "its evidence came, and the tag was published",
    Ending.EXPIRED: "the tag never appeared",
    Ending.SUPERSEDED: "another push of the tag took its place",
    Ending.REFUSED: "it may not be published any more",
}


@dataclass(frozen=True, slots=True)
class ShownHold:
    """A hold as commands and pages show it; `ended` and `ending` are empty while it waits.

    `words` say how it stands. `problem` is what a person must know about its end.
    """

    id: str
    registry: str
    image: str
    digest: str
    since: str
    until: str
    ended: str
    ending: str
    problem: str
    words: str


def shown_hold(hold: Hold) -> ShownHold:
    """Choose what is shown of a hold; its credential is not."""
    return ShownHold(
        id=hold.id,
        registry=hold.place.registry,
        image=f"{hold.place.repository}:{hold.tag}",
        digest=str(hold.digest),
        since=_iso(hold.opened),
        until=_iso(hold.deadline),
        ended=_iso(hold.ended) if hold.ended else "",
        ending=hold.ending.value if hold.ending else "",
        problem=hold.problem,
        words=_words(hold),
    )


def moment(at: datetime) -> str:
    """A time as people read it, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _words(hold: Hold) -> str:
    if hold.ended is None or hold.ending is None:
        return f"Waits for its evidence until {moment(hold.deadline)}; nobody reaches the tag before."
    return f"{VERDICTS[hold.ending]} {moment(hold.ended)}: {_ENDINGS[hold.ending]}."


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
