"""A settings file in a directory of its own, and how to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.config.settings import read_settings
from tests.lab.settings import ENVIRONMENT

Reader = Callable[[str], Settings]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    """Read a settings file's text, as the file `gateway.yaml` in a directory of the test's own."""
    return lambda text: read_settings(text, tmp_path / "gateway.yaml", ENVIRONMENT)
