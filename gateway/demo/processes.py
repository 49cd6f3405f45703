"""Programs that run beside the demo: started in a group of their own, waited for within a bound, ended for certain."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
_PAUSE: Final = 0.02
_PORTS: Final = 5


class ProgramError(Exception):
    """A program did not start, or ended before it should; the message holds the last of what it printed."""


def free_port() -> int:
    """Return a port of 127.0.0.1 that the kernel has just called free; another program may still take it first."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """One program running in the background; `with` ends it, and everything it started.

    What it prints goes to `log`, and stays there. Its standard input is empty.
    """

    def __init__(
        self, arguments: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        self.log = log
        self._name = Path(arguments[0]).name
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,  # a group of its own: `stop` ends it whole, and Ctrl-C reaches only us
            )

    @property
    def pid(self) -> int:
        """The number of the process, which is also that of its group."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def wait_until(self, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Ask `ready` again and again until it says yes; raises `ProgramError` when the program ends or time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise ProgramError(f"{self._name} was not ready after {seconds:g} s:\n{self.tail()}")
            try:
                status = self._process.wait(timeout=_PAUSE)
            except subprocess.TimeoutExpired:
                continue
            raise ProgramError(f"{self._name} ended with status {status}:\n{self.tail()}")

    def wait_until_end(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the program to end by itself and return its status; raises `ProgramError` when it does not."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"{self._name} had not ended after {seconds:g} s:\n{self.tail()}") from None

    def wait_for_line(self, start: str, seconds: float = START_SECONDS) -> str:
        """Wait for a line of the log that begins with `start`, and return the rest of it."""
        found = ""

        def seen() -> bool:
            nonlocal found
            for line in self.log.read_text(errors="replace").splitlines(keepends=True):
                if line.startswith(start) and line.endswith("\n"):
                    found = line.removeprefix(start).strip()
                    return True
            return False

        self.wait_until(seen, seconds)
        return found

    def tail(self, lines: int = 20) -> str:
        """Return the last lines that the program printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def kill(self) -> None:
        """End the program at once, as a crash would (SIGKILL to its whole group)."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask the program to end, insist after a while, and return its exit status."""
        self._signal(signal.SIGTERM)
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            status = self._process.wait()
        self._signal(signal.SIGKILL)  # what it may have left behind in its group
        return status

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # the whole group has ended


def status_of(port: int, path: str) -> int | None:
    """What a server on this machine answers a GET with; None where there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


@contextmanager
def server(
    command: Callable[[int], list[str]], ready: Callable[[int], bool], log: Path, *, cwd: Path | None = None
) -> Iterator[tuple[int, Program]]:
    """Run a server that must be told its port, and wait until it is ready; gives the port and the program.

    A port that was free may be taken before the server asks for it: then another one is tried.
    """
    for attempt in range(_PORTS):
        port = free_port()
        running = Program(command(port), log, cwd=cwd)
        try:
            running.wait_until(lambda port=port: ready(port))  # type: ignore[misc]
        except ProgramError:
            running.stop()
            if attempt == _PORTS - 1:
                raise
            continue
        with running:
            yield port, running
        return
