"""What fuzzing found once stays found; and every target still starts from inputs that its reader takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

_FOUND = Path(__file__).parent / "fuzz"


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_starts_from_what_its_reader_takes(name: str) -> None:
    target = TARGETS[name]
    assert any(target.attempt(seed) for seed in target.seeds())


@pytest.mark.parametrize("name", sorted({*TARGETS} - {"verification"}))
def test_a_target_refuses_bytes_that_are_nothing(name: str) -> None:
    assert not TARGETS[name].attempt(b"\xff\xfe")


@pytest.mark.parametrize("name", TARGETS)
def test_what_crashed_a_reader_once_is_read_or_refused(name: str) -> None:
    for path in sorted((_FOUND / name).glob("*")):
        TARGETS[name].attempt(path.read_bytes())
