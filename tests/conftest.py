"""What every test has: a header that names the other programs, present and absent."""

from __future__ import annotations

from tests.lab import tools


def pytest_report_header() -> list[str]:
    """Name what is used and what is absent, so that a skip is never a surprise."""
    found = [program for program in tools.PROGRAMS if tools.find(program)]
    missing = [program for program in tools.PROGRAMS if program not in found]
    lines = [f"programs found: {', '.join(found) or 'none'}"]
    if missing:
        lines.append(f"programs absent (make tools installs them): {', '.join(missing)}")
    return lines
