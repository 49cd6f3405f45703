"""Secrets by reference: what they may hold, and that they do not show (DESIGN, settings)."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import Secret
from gateway.config.secret import upstream_credential


def of(text: str) -> str:
    found = upstream_credential("env:SECRET", Path("/"), {"SECRET": text})
    assert found is not None
    return found.reveal()


def test_none_is_no_credential() -> None:
    assert upstream_credential("none", Path("/"), {}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jane:hunter2", "Basic amFuZTpodW50ZXIy"),
        (":hunter2", "Basic Omh1bnRlcjI="),
        ("jane:a:b c", "Basic amFuZTphOmIgYw=="),
        ("jané:ü", "Basic amFuw6k6w7w="),
        ("Bearer abc.d-e_f~g+h/i=", "Bearer abc.d-e_f~g+h/i="),
        ("bearer   abc", "Bearer abc"),
    ],
)
def test_each_form_gives_its_authorization(text: str, expected: str) -> None:
    assert of(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "hunter2", "jane:hunter2\n", "jane:hunter2\r\nX: y", "Bearer a:b", "Bearer ", "Basic amFuZTpo:", "a:\0"],
)
def test_text_that_is_neither_form_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"env:SECRET holds neither") as caught:
        of(text)
    assert "hunter2" not in str(caught.value)


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "hunter2"


def test_a_file_gives_its_text_without_the_last_line_break(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("jane:hunter2\n")
    (tmp_path / "secret").chmod(0o400)
    assert upstream_credential("file:secret", tmp_path, {}) == Secret("Basic amFuZTpodW50ZXIy")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "secret").write_text("jane:hunter2")
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(ValueError, match=rf"mode {mode:04o} lets others read the secret; run: chmod 600"):
        upstream_credential("file:secret", tmp_path, {})


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        upstream_credential("file:secret", tmp_path, {})
    (tmp_path / "secret").write_bytes(b"jane:\xff")
    (tmp_path / "secret").chmod(0o600)
    with pytest.raises(ValueError, match="not UTF-8"):
        upstream_credential("file:secret", tmp_path, {})
