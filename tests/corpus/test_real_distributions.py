"""Distributions that others made: none is refused, and each agrees with itself.

`PROVGATE_REAL_DISTS` names folders of more of them, separated by `:`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.ecosystems.pypi_distribution import read_distribution
from gateway.model import names

_SHARED = Path(__file__).parents[3] / "shared" / "data"
_FOLDERS = [Path(folder) for folder in os.environ.get("PROVGATE_REAL_DISTS", "").split(":") if folder]
_FILES = sorted(
    path
    for folder in (*_FOLDERS, _SHARED)
    for path in (folder.rglob("*") if folder.is_dir() else ())
    if path.name.endswith((".whl", ".tar.gz"))
)


@pytest.mark.skipif(not _FILES, reason="no real distributions here: name folders of them in PROVGATE_REAL_DISTS")
@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.name)
def test_a_real_distribution_is_read_and_agrees_with_itself(path: Path) -> None:
    with path.open("rb") as handle:
        distribution = read_distribution(handle, path.name)
    told = {claim.field: set[str]() for claim in distribution.claims}
    normal = {"name": names.pypi_name, "version": names.pypi_version}
    for claim in distribution.claims:
        told[claim.field].add(normal[claim.field](claim.value))
    assert told == {
        "name": {names.pypi_name(distribution.name)},
        "version": {names.pypi_version(distribution.version)},
    }
