"""Near misses of a bundle: one field spoiled, seeded, so that a run can be repeated."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every leaf of a document."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*at, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*at, index))
    else:
        yield at


def mutant(bundle: bytes, others: Sequence[bytes], random: Random) -> tuple[bytes, str]:
    """Spoil one field of a bundle; return the bundle and what was done to it."""
    document = json.loads(bundle)
    place = random.choice(list(places(document)))
    *above, last = place
    holder = document
    for step in above:
        holder = holder[step]
    how, holder[last] = _spoiled(holder[last], place, others, random)
    if how == "gone":
        del holder[last]
    return json.dumps(document).encode(), f"{'.'.join(map(str, place))} {how}"


def _spoiled(value: Any, place: Place, others: Sequence[bytes], random: Random) -> tuple[str, Any]:
    """Say what was done and what came of it; the nearest misses come most often, as choices of the same name."""
    data, theirs = _decoded(value), _of_others(value, place, others)
    choices: dict[str, Callable[[], Any]] = {"gone": lambda: None}
    if theirs:
        choices["of another"] = lambda: random.choice(theirs)
    if data:
        bit = random.randrange(8 * len(data))
        choices |= {
            **{f"bit{' ' * n}": lambda: _b64(_flipped(data, bit)) for n in range(9)},
            "cut": lambda: _b64(data[:-1]),
            "longer": lambda: _b64(data + b"\0"),
        }
    elif isinstance(value, str) and value.isdigit():
        choices |= {
            "one more": lambda: str(int(value) + 1),
            "one less": lambda: str(int(value) - 1),
            "a number": lambda: int(value),
            "huge": lambda: f"{value}00000000",
            "negative": lambda: f"-{value}",
        }
    elif isinstance(value, str) and value:
        at = random.randrange(len(value))
        letter = random.choice("aZ0=-. /")
        choices |= {
            **{f"character{' ' * n}": lambda: f"{value[:at]}{letter}{value[at + 1 :]}" for n in range(4)},
            # A word of the format misspelt is no longer one; another of its words is the nearer miss.
            **{f"of another{' ' * n}": lambda: random.choice(theirs) for n in range(1, 9) if theirs},
            "cut text": lambda: value[:-1],
        }
    how = random.choice(list(choices))
    return how.strip(), choices[how]()


def _of_others(value: Any, place: Place, others: Sequence[bytes]) -> list[Any]:
    """What stands at the same place in other bundles, where that is something else."""
    found = {json.dumps(_at(json.loads(other), place, value)) for other in others} - {json.dumps(value)}
    return [json.loads(one) for one in sorted(found)]


def _flipped(data: bytes, bit: int) -> bytes:
    spoiled = bytearray(data)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(value: Any) -> bytes | None:
    if not isinstance(value, str) or len(value) < 16:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return None


def _at(document: Any, place: Place, default: Any) -> Any:
    for step in place:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return default
    return document
