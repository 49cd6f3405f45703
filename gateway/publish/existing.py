"""Vouching for what was in a registry before the gate: what it serves is measured, and held against its own word.

An operator says for which packages. Nothing is vouched for unseen, whose bytes the registry states otherwise, which the
record knows otherwise, or which were withdrawn. What is vouched for is signed from then on, as it is read.

1. Read what the registry lists of the package.
2. What is vouched for already, and still stated alike, stays.
3. Fetch each other version whole and measure it; every digest that the registry states must be that of the bytes.
4. Write it down with the person who asked for it.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.ecosystems.protocol import Held
from gateway.errors import UpstreamError
from gateway.model.vouched import Vouched
from gateway.publish.served import Served
from gateway.publish.settle import holdings, measured
from gateway.store import Cause, Conflict, Store

_HEXADECIMAL = {"shasum": "sha1"}


class State(StrEnum):
    """What became of one version."""

    SIGNED = "signed"
    ALREADY = "already signed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Looked:
    """One version that was looked at; `problem` says why it is refused."""

    canonical: str
    state: State
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for it and when; a `rehearsal` measures everything and writes nothing."""

    person: str
    at: datetime
    rehearsal: bool


async def vouch_existing(served: Served, store: Store, name: str, asked: Asked) -> AsyncIterator[Looked]:
    """Vouch for every version of a package; raises `UpstreamError` where the registry cannot be asked."""
    known = await store.vouched(served.registry.name)
    for held in await holdings(served, name):  # 1
        stated = _stated(held)
        vouched = known.get(held.canonical)
        if vouched is not None and stated.get("sha512") == vouched.sha512:  # 2
            yield Looked(held.canonical, State.ALREADY)
            continue
        try:
            problem = await _vouch(served, store, held, stated, asked)
        except UpstreamError as error:
            problem = error.problem
        yield Looked(held.canonical, State.REFUSED if problem else State.SIGNED, problem)


async def _vouch(served: Served, store: Store, held: Held, stated: dict[str, str], asked: Asked) -> str:
    """Steps 3 and 4 for one version; an empty text, or why not."""
    if not stated:
        return "the registry states no digest of it"
    measure = await measured(served, held, served.max_file, ("sha1", "sha384", "sha512"))  # 3
    if measure.size > served.max_file:
        return f"larger than {served.max_file} bytes"
    found = dict(measure.digests())
    for algorithm, value in stated.items():
        if found.get(algorithm) != value:
            return f"the registry states {algorithm} {value} and serves {found.get(algorithm, 'what is not known')}"
    registry, vouched = served.registry.name, Vouched(found["sha256"], found["sha512"])
    if asked.rehearsal:
        return _why(await store.vouch_conflict(registry, held.canonical, vouched.sha256))
    return _why(await store.vouch(registry, held.canonical, vouched, asked.person, asked.at))  # 4


def _stated(held: Held) -> dict[str, str]:
    """The digests that a registry states, in hexadecimal; what is none of a known kind equals no measured one."""
    found = {}
    for key, text in held.attributes:
        if key in _HEXADECIMAL:
            found[_HEXADECIMAL[key]] = text
        elif key == "integrity":
            for one in text.split():
                algorithm, _, value = one.partition("-")
                other = found.get(algorithm, read := _hexadecimal(value))
                found[algorithm] = read if other == read else f"{other} {read}"
    return found


def _hexadecimal(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).hex()
    except ValueError:
        return value


def _why(conflict: Conflict | None) -> str:
    if conflict is None:
        return ""
    if conflict.cause is Cause.REVOKED:
        return "these bytes were withdrawn"
    return f"the record has other bytes under this name: sha256 {conflict.sha256}"
