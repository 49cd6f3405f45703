"""Durations as operators write them: `90s`, `30m`, `12h`, `14d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SHAPE: Final = re.compile(r"(0|[1-9][0-9]{0,5})([smhd])")


def duration(text: str) -> timedelta | None:
    """Read a whole number with its unit; None for anything else."""
    match = _SHAPE.fullmatch(text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else None
