"""The modes of what only the gateway may read, and the key that tokens are hashed with (CONTRACTS A.8)."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from gateway.errors import StoreError

KEY_BYTES: Final = 32
_PRIVATE_FILE: Final = 0o600
_PRIVATE_DIRECTORY: Final = 0o700


def check_private(path: Path) -> None:
    """Raise `StoreError` unless only its owner can read or write the file."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise StoreError(f"{path}: mode {mode:04o} lets others in; run: chmod 600 {path}")


def check_directory(path: Path) -> None:
    """Raise `StoreError` where others may write the directory: who can, can put another file in this one's place."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o022:
        raise StoreError(f"{path}: mode {mode:04o} lets others write the directory; run: chmod go-w {path}")


def prepare(path: Path) -> None:
    """Create the file, empty and private, in a private directory, or check what is there; raises `StoreError`."""
    try:
        path.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        check_directory(path.parent)
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _PRIVATE_FILE)
        except FileExistsError:
            check_private(path)
        else:
            os.close(descriptor)
            _sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error


def load_or_create_key(path: Path) -> bytes:
    """Read the key file, or make one; raises `StoreError` where it cannot be trusted.

    A new key is written beside its place and linked into it, so that of two processes that start at once both read the
    same whole key.
    """
    try:
        path.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        check_directory(path.parent)
        if not path.exists():
            _create_key(path)
        check_private(path)
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise StoreError(f"{path}: not a key file (expected {KEY_BYTES * 2} hexadecimal digits)") from error
    if len(key) != KEY_BYTES:
        raise StoreError(f"{path}: not a key file (expected {KEY_BYTES * 2} hexadecimal digits)")
    return key


def _create_key(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(os.urandom(KEY_BYTES).hex() + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        _sync_directory(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
