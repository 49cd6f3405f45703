"""`Spool`: the private directory where a body waits for its verdict, with a total and a per-credential quota."""

from __future__ import annotations

import io
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gateway import limits
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class SpoolFull(GatewayError):
    """The spool has no room for more of this body."""


class Spool:
    """Temporary files with a budget in bytes; what a killed gateway left behind is removed when it starts again."""

    def __init__(
        self, directory: Path, total: int = limits.SPOOL_TOTAL, per_grant: int = limits.SPOOL_PER_GRANT
    ) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        self.directory = directory
        self._total = total
        self._per_grant = per_grant
        self._used: Counter[str] = Counter()
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Remove what an earlier process left; call before the first body is received."""
        for left in self.directory.glob("body-*"):
            left.unlink(missing_ok=True)

    @contextmanager
    def open(self, grant: str) -> Iterator[SpooledBody]:
        """Give one body's file, removed again at the end whatever happens."""
        try:
            descriptor, name = tempfile.mkstemp(prefix="body-", dir=self.directory)  # mode 0600
        except OSError as error:
            raise SpoolFull(f"the spool cannot be written: {error.strerror}") from error
        body = SpooledBody(descriptor, self, grant)
        try:
            yield body
        finally:
            body.close()
            Path(name).unlink(missing_ok=True)
            self._give_back(grant, body.taken)

    def take(self, grant: str, size: int) -> None:
        """Reserve room; raises `SpoolFull` when either quota is spent."""
        with self._lock:
            if self._used.total() + size > self._total or self._used[grant] + size > self._per_grant:
                raise SpoolFull("the spool's quota is spent")
            self._used[grant] += size

    def _give_back(self, grant: str, size: int) -> None:
        with self._lock:
            self._used[grant] -= size
            if not self._used[grant]:
                del self._used[grant]


class SpooledBody(io.FileIO):
    """One body's file; what is written counts against the quota. A full disk is `SpoolFull` too."""

    def __init__(self, descriptor: int, spool: Spool, grant: str) -> None:
        super().__init__(descriptor, "r+b")
        self.taken = 0
        self._spool = spool
        self._grant = grant

    def write(self, chunk: ReadableBuffer, /) -> int:
        """Append all of these bytes to the body; a raw file may take fewer at a time."""
        view = memoryview(chunk)
        size = view.nbytes
        self._spool.take(self._grant, size)
        self.taken += size
        try:
            while view:
                view = view[super().write(view) :]
        except OSError as error:
            raise SpoolFull(f"the spool cannot be written: {error.strerror}") from error
        return size
