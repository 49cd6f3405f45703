"""`Digest` and `Measure`: the only place where an uploaded file's digests come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import BinaryIO, Final, NamedTuple, Protocol

from gateway import limits
from gateway.errors import Malformed


class _Running(Protocol):
    @property
    def digest_size(self) -> int: ...
    def update(self, data: bytes | bytearray | memoryview, /) -> None: ...
    def hexdigest(self) -> str: ...


class Digest(NamedTuple):
    """One digest: the algorithm as in-toto spells it, the value in lower-case hexadecimal."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `algorithm:hex`; raises `Malformed` for an unknown algorithm, a wrong length or upper case."""
        algorithm, _, value = text.partition(":")
        size = _HEX_LENGTH.get(algorithm)
        if size is None or len(value) != size or not set(value) <= _HEX:
            raise Malformed("digest", "expected <algorithm>:<lower-case hex> of a known algorithm")
        return cls(algorithm, value)

    def matches(self, data: bytes) -> bool:
        """Whether these bytes have this digest."""
        running = _MAKERS[self.algorithm]()
        running.update(data)
        return running.hexdigest() == self.value


_MAKERS: Final[dict[str, Callable[[], _Running]]] = {
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),  # npm's shasum: compared, never trusted
    "md5": lambda: hashlib.md5(usedforsecurity=False),  # PyPI's form field: compared, never trusted
    "blake2b-256": lambda: hashlib.blake2b(digest_size=32),  # PyPI's form field `blake2_256_digest`
}
ALGORITHMS: Final = frozenset(_MAKERS)
STRONG: Final = frozenset({"sha256", "sha384", "sha512"})
_HEX: Final = frozenset("0123456789abcdef")
_HEX_LENGTH: Final = {name: make().digest_size * 2 for name, make in _MAKERS.items()}


class Measure:
    """Counts and hashes bytes as they pass; always sha256, and what else is named. Call `update` from one thread."""

    def __init__(self, algorithms: Iterable[str] = ()) -> None:
        names = {"sha256", *algorithms}
        self._hashes = {name: _MAKERS[name]() for name in sorted(names)}
        self.size = 0

    def update(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes of the file, in order."""
        self.size += len(chunk)
        for running in self._hashes.values():
            running.update(chunk)

    def digests(self) -> tuple[Digest, ...]:
        """Return what was measured so far, sorted by algorithm."""
        return tuple(Digest(name, running.hexdigest()) for name, running in self._hashes.items())


def measure(handle: BinaryIO, algorithms: Iterable[str]) -> tuple[Digest, ...]:
    """Hash a whole file from its start with each of `algorithms` (and sha256), in bounded memory."""
    running = Measure(algorithms)
    handle.seek(0)
    while chunk := handle.read(limits.CHUNK):
        running.update(chunk)
    return running.digests()
