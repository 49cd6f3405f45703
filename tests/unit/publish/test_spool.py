"""The spool is private, bounded in total and per credential, and leaves nothing behind."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gateway.publish.spool import Spool, SpoolFull


def test_a_body_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700
    with spool.open("g") as body:
        body.write(b"abc")
        (path,) = spool.directory.iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_bytes() == b"abc"
    assert not list(spool.directory.iterdir())


@pytest.mark.parametrize(("total", "per_grant"), [(9, 100), (100, 9)])
def test_either_quota_stops_a_body(tmp_path: Path, total: int, per_grant: int) -> None:
    spool = Spool(tmp_path, total, per_grant)
    with spool.open("g") as body:
        body.write(b"12345")
        with pytest.raises(SpoolFull):
            body.write(b"67890")


def test_one_credential_does_not_spend_anothers_quota(tmp_path: Path) -> None:
    spool = Spool(tmp_path, total=100, per_grant=5)
    with spool.open("g") as one, spool.open("h") as other:
        one.write(b"12345")
        other.write(b"12345")


def test_room_comes_back_when_a_body_is_done(tmp_path: Path) -> None:
    spool = Spool(tmp_path, total=5, per_grant=5)
    for _ in range(3):
        with spool.open("g") as body:
            body.write(b"12345")


def test_what_a_killed_gateway_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "body-left").write_bytes(b"x")
    (tmp_path / "other").write_bytes(b"x")
    Spool(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
