"""Peak memory and processor time of a program and everything it started, as the kernel counts them."""

from __future__ import annotations

import os
from pathlib import Path


def forget_peaks(pid: int) -> None:
    """Set every high-water mark back to what is in use now."""
    for member in family(pid):
        Path(f"/proc/{member}/clear_refs").write_text("5", encoding="ascii")


def peak(pid: int) -> int:
    """Return VmHWM of all processes together, in bytes (they need not have peaked at once: an upper bound)."""
    return sum(_field(member, "VmHWM") for member in family(pid))


def processor_seconds(pid: int) -> float:
    """Return the processor time that all processes together have used, in seconds."""
    ticks = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # user and system (proc(5): 14 and 15)
    return ticks / os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[1])
            except (OSError, UnicodeDecodeError):
                continue
            children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [pid]
    while waiting:
        member = waiting.pop()
        found.append(member)
        waiting += children.get(member, [])
    return found


def _field(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
