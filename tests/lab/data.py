"""Where the real bundles of others are, and the mark of a test that needs them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
CONFORMANCE = DATA / "sigstore-conformance"
GITHUB = DATA / "github-cli"
PYPI = DATA / "pypi-attestations"

# Absent in CI is a failure, never a silent skip: the tests then run and find no file.
needs_data = pytest.mark.skipif(
    not DATA.is_dir() and not os.environ.get("CI"), reason="the real bundles are not at ../shared/data"
)
