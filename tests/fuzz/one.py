"""One target under atheris, in a process of its own: `python -m tests.fuzz.one TARGET SEEDS [libFuzzer's options]`.

Writes the target's seeds to the folder SEEDS first. Inputs that are JSON are spoiled as bytes half of the time, and
otherwise inside one of their strings, under its base64 where there is one: bytes alone never come past it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import atheris

from tests.lab.mutants import places

with atheris.instrument_imports(include=["gateway"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS


def spoil(data: bytes, most: int, seed: int) -> bytes:
    """Mutate one leaf of a JSON document, or the document's bytes."""
    random = Random(seed)
    document: Any = None
    if random.random() < 0.6:
        with suppress(ValueError, RecursionError):
            document = json.loads(data)
    where = [at for at in places(document) if at]
    if not where:
        return bytes(atheris.Mutate(data, len(data)))
    *above, last = random.choice(where)
    holder = document
    for step in above:
        holder = holder[step]
    value = holder[last]
    if isinstance(value, str):
        holder[last] = _spoiled_text(value, random)
    else:
        holder[last] = random.choice([None, 0, -1, 1 << 63, "", [], {}, True, value])
    made = json.dumps(document).encode()
    return made if len(made) <= most else data


def _spoiled_text(text: str, random: Random) -> str:
    try:
        inner = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        inner = b""
    if inner and random.random() < 0.8:
        return base64.b64encode(_mutated(inner)).decode()
    return _mutated(text.encode(errors="replace")).decode(errors="replace")


def _mutated(data: bytes) -> bytes:
    return bytes(atheris.Mutate(data, len(data) + 16))


def main() -> None:
    """Fuzz until libFuzzer's options say stop; a crash ends the process."""
    name, folder, *options = sys.argv[1:]
    target, seeds = TARGETS[name], Path(folder)
    for data in target.seeds():
        (seeds / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    mutator = {"custom_mutator": spoil} if target.structured else {}
    atheris.Setup([sys.argv[0], *options], target.attempt, **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
