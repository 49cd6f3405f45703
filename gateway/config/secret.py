"""`Secret`, which does not show itself, and the references by which a settings file names one: never inline.

The text of an upstream credential takes one of two forms:

* `user:password`, sent as Basic;
* `Bearer <token>`, sent as it stands.
"""

from __future__ import annotations

import base64
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway import limits
from gateway.errors import Malformed
from gateway.signing import RegistryKey, read_key

NONE: Final = "none"
_BEARER: Final = re.compile(r"[Bb]earer +([A-Za-z0-9._~+/-]+=*)")
_PRINTABLE: Final = re.compile(r"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Text that no log, traceback or `repr` shows; `reveal` is where it leaves."""

    _text: str

    def __repr__(self) -> str:
        return "Secret(...)"

    def reveal(self) -> str:
        """The text itself; for the one place that sends it."""
        return self._text


def upstream_credential(reference: str, directory: Path, environment: Mapping[str, str]) -> Secret | None:
    """The whole Authorization value a reference stands for; None for `none`.

    Raises `ValueError` with what is wrong and how to mend it, never with the secret.
    """
    if reference == NONE:
        return None
    return Secret(_authorization(_read(reference, directory, environment), reference))


def signing_key(
    reference: str, expires: datetime | None, directory: Path, environment: Mapping[str, str]
) -> RegistryKey:
    """The key a reference stands for; raises `ValueError` with what is wrong and how to mend it, never the secret."""
    try:
        return read_key(_read(reference, directory, environment).encode(), expires)
    except Malformed as error:
        raise ValueError(f"{reference}: {error.problem}; provgate npm new-key makes one") from None


def _read(reference: str, directory: Path, environment: Mapping[str, str]) -> str:
    kind, _, place = reference.partition(":")
    if kind == "env" and place:
        if place not in environment:
            raise ValueError(f"the environment has no {place}; set it before starting the gateway")
        return environment[place]
    if kind == "file" and place:
        return _read_file(directory / place)
    raise ValueError("expected none, env:NAME or file:PATH; a secret is never written into this file")


def _read_file(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise ValueError(f"{path}: mode {mode:04o} lets others read the secret; run: chmod 600 {path}")
            return handle.read(limits.HEADER_LINE).decode("utf-8").removesuffix("\n")
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text") from None


def _authorization(text: str, reference: str) -> str:
    if bearer := _BEARER.fullmatch(text):
        return f"Bearer {bearer.group(1)}"
    if not _PRINTABLE.fullmatch(text) or ":" not in text or text.lower().startswith(("bearer ", "basic ")):
        raise ValueError(
            f"{reference} holds neither user:password nor Bearer <token> (one line, no control characters)"
        )
    return "Basic " + base64.b64encode(text.encode()).decode()
