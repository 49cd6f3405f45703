from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from gateway.demo.processes import Program, ProgramError

# A parent that starts a child, names it, and waits: what a server with workers looks like from outside.
FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; print('up', flush=True); signal.pause()"],
                         stdout=subprocess.PIPE)
child.stdout.readline()
print("child", child.pid, flush=True)
child.wait()
"""


def program(text: str, tmp_path: Path) -> Program:
    return Program([sys.executable, "-c", text], tmp_path / "log")


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_a_line_that_says_ready_is_waited_for(tmp_path: Path) -> None:
    with program(
        "import signal; print('listening on http://127.0.0.1:1', flush=True); signal.pause()", tmp_path
    ) as ready:
        assert ready.wait_for_line("listening on ") == "http://127.0.0.1:1"


def test_a_program_that_ends_early_is_told_with_what_it_printed(tmp_path: Path) -> None:
    with (
        program("print('no such file'); raise SystemExit(3)", tmp_path) as early,
        pytest.raises(ProgramError, match=r"status 3:\nno such file"),
    ):
        early.wait_for_line("listening on ")


def test_a_program_that_is_never_ready_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with (
        program("import signal; signal.pause()", tmp_path) as slow,
        pytest.raises(ProgramError, match=r"not ready after 0\.1 s"),
    ):
        slow.wait_for_line("listening on ", seconds=0.1)


@pytest.mark.parametrize("end", [Program.stop, Program.kill])
def test_ending_a_program_ends_its_children_too(end: object, tmp_path: Path) -> None:
    family = program(FAMILY, tmp_path)
    child = int(family.wait_for_line("child "))
    assert callable(end)
    end(family)
    with program("import signal; signal.pause()", tmp_path) as clock:
        clock.wait_until(lambda: gone(child), 5)


def test_a_program_that_ignores_the_request_to_end_is_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.demo.processes.STOP_SECONDS", 0.1)
    text = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\nwhile True: signal.pause()"
    stubborn = program(text, tmp_path)
    stubborn.wait_for_line("up")
    assert stubborn.stop() == -signal.SIGKILL
    assert gone(stubborn.pid)
    assert os.getpid() != stubborn.pid
