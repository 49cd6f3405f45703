"""Every bound that an upload can meet is told by its code, and what was taken in by then is given back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import limits
from tests.lab.gate import GOOD, LabGate, lab_gate
from tests.lab.raw import code, exchange, form, part, post


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path, max_file=len(GOOD.content)) as running:
        yield running
        assert not list((tmp_path / "spool").iterdir())
        assert not running.registry.writes


@pytest.mark.parametrize(
    ("bound", "value", "parts"),
    [
        ("FORM_FIELDS", 10, [part("classifiers", "a")] * 11),
        ("FORM_FIELD", 100, [part("description", "a" * 101)]),
        ("FORM_FIELD", 100, [part("gpg_signature", "a" * 101, filename="a.asc")]),
        ("FORM_TOTAL", 1000, [part("classifiers", "a" * 90)] * 12),
        ("PART_HEADERS", 100, [part("a" * 200, "a")]),
        ("UPLOAD_FILE", 0, [part("content", GOOD.content + b"a", filename=GOOD.name)]),
    ],
)
async def test_a_form_over_a_bound_is_too_large(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, parts: list[bytes]
) -> None:
    monkeypatch.setattr(limits, bound, value)
    status, got = await exchange(gate.base, post(form(parts), gate.token))
    assert (status, code(got)) == (413, "upload-too-large")
    assert await gate.codes() == {"upload-too-large"}


async def test_a_file_of_exactly_the_bound_is_taken_in(gate: LabGate) -> None:
    status, reason, _ = await gate.upload(attestations=None)
    assert (status, reason.split(":")[0]) == (403, "evidence-missing")


@pytest.mark.parametrize("quota", ["_per_grant", "_total"])
async def test_a_spool_without_room_says_so_and_records_nothing(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch, quota: str
) -> None:
    monkeypatch.setattr(gate.spool, quota, len(GOOD.content) - 1)
    status, reason, _ = await gate.upload()
    assert (status, reason.split(":")[0]) == (503, "spool-full")
    monkeypatch.setattr(gate.spool, quota, len(GOOD.content))
    assert (await gate.upload(attestations=None))[0] == 403  # what the first took is given back
