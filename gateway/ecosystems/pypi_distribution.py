"""What a wheel or an sdist says of itself: name and version from its metadata, its directories and its file name.

Here only what cannot be read in one way is refused; whether the sources agree is for `decide`. One metadata file, where
the specification has it and in no second spelling; a wheel's RECORD lists exactly the files that are in the archive,
since installers that go by one or the other would install different things.
Sources: PEP 427 and 491 (wheels), PEP 625 and 643 (sdists), PEP 566 (core metadata).
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway import limits
from gateway.errors import Malformed
from gateway.model.names import PypiFile, pypi_file, pypi_name, pypi_version
from gateway.model.upload import Claim
from gateway.strict.archive import ZipIndex, read_tar_gz, read_zip

_FIELD: Final = re.compile(rb"([!-9;-~]+):[ \t]*(.*?)[ \t]*")
# Everything that some reader takes for the end of a line.
_ANY_LINE: Final = re.compile(rb"[\r\n\x0b\x0c\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_SIGNATURES: Final = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s"})  # not in RECORD, or only by name


@dataclass(frozen=True, slots=True)
class Distribution:
    """One distribution by its own word: `version` is the exact text of its metadata, `kind` is `wheel` or `sdist`."""

    name: str
    version: str
    metadata_source: str
    kind: str
    claims: tuple[Claim, ...]


def read_distribution(handle: BinaryIO, file_name: str) -> Distribution:
    """Read a distribution from a seekable handle; raises `Malformed` or `TooLarge`."""
    file = pypi_file(file_name)
    if file.kind == "wheel":
        folder, metadata = _wheel(read_zip(handle, "wheel"))
        return _distribution(file, file_name, "METADATA", folder.removesuffix(".dist-info"), metadata)
    folder, metadata = _sdist(handle, zipped=file_name.endswith(".zip"))
    return _distribution(file, file_name, "PKG-INFO", folder, metadata)


def _distribution(file: PypiFile, file_name: str, source: str, folder: str, metadata: bytes) -> Distribution:
    name, version = read_metadata(metadata, source)
    named, _, versioned = folder.rpartition("-")
    told = (("file name", file.name, file.version), (source, name, version), ("directory", named, versioned))
    claims = tuple(
        Claim(who, field, value, file_name)
        for who, one, other in told
        for field, value in (("name", one), ("version", other))
    )
    return Distribution(name, version, source, file.kind, claims)


def read_metadata(metadata: bytes, about: str) -> tuple[str, str]:
    """Return the name and the version, exactly as written, from the head of a core metadata file.

    Only the head is looked at, and of its fields only these two: each must be there once, in one line.
    """
    head = _HEAD_END.split(metadata, maxsplit=1)[0].removesuffix(b"\n").replace(b"\r\n", b"\n").removesuffix(b"\r")
    if b"\r" in head:
        raise Malformed(about, "a carriage return alone in its head")
    found: dict[bytes, bytes] = {}
    last = b""
    for line in head.split(b"\n"):
        if line[:1] in {b" ", b"\t"} and last:
            if last in {b"name", b"version"}:
                raise Malformed(about, f"{last.decode()} goes over several lines")
            continue
        match = _FIELD.fullmatch(line)
        if match is None:
            raise Malformed(about, "a line in its head that is not `Name: value`")
        last = match[1].lower()
        if last in {b"name", b"version"}:
            if last in found:
                raise Malformed(about, f"{last.decode()} is given twice")
            found[last] = match[2]
    starts = [line.partition(b":")[0].rstrip().lower() for line in _ANY_LINE.split(head) if b":" in line]
    for key in found:
        # Counted once more as readers would that break lines elsewhere, or that trim a field's name.
        if starts.count(key) != 1:
            raise Malformed(about, f"a second {key.decode()} for some readers")
    return _valid(found.get(b"name"), pypi_name, about), _valid(found.get(b"version"), pypi_version, about)


def _valid(raw: bytes | None, normalise: Callable[[str], str], about: str) -> str:
    """Return the text as it is where it can be normalised at all."""
    if raw is None:
        raise Malformed(about, "Name or Version is missing")
    text = raw.decode("ascii", "replace")
    try:
        normalise(text)
    except Malformed as error:
        raise Malformed(f"{about}: {error.about}", error.problem) from None
    return text


def _wheel(archive: ZipIndex) -> tuple[str, bytes]:
    folder = _only(
        {first for first, slash, _ in (path.partition("/") for path in archive.files) if slash},
        ".dist-info",
        archive.about,
    )
    _one_spelling(archive.files, f"{folder}/METADATA", archive.about)
    _check_record(archive, folder)
    return folder, archive.read(f"{folder}/METADATA", limits.ARCHIVE_METADATA)


def _sdist(handle: BinaryIO, *, zipped: bool) -> tuple[str, bytes]:
    about = "sdist"
    if zipped:
        archive = read_zip(handle, about)
        folder = _only_root(archive.files, about)
        _one_spelling(archive.files, f"{folder}/PKG-INFO", about)
        return folder, archive.read(f"{folder}/PKG-INFO", limits.ARCHIVE_METADATA)
    tar = read_tar_gz(handle, about, keep=_is_top_pkg_info, limit=limits.ARCHIVE_METADATA)
    folder = _only_root(tar.files, about)
    path = f"{folder}/PKG-INFO"
    _one_spelling(tar.files, path, about)
    if path not in tar.kept:
        raise Malformed(about, "its PKG-INFO is a link")
    return folder, tar.kept[path]


def _is_top_pkg_info(path: str) -> bool:
    folder, _, name = path.partition("/")
    return bool(folder) and name == "PKG-INFO"


def _only_root(paths: Iterable[str], about: str) -> str:
    roots = {path.partition("/")[0] for path in paths}
    if len(roots) != 1:
        raise Malformed(about, f"{len(roots)} top-level entries; expected one directory")
    return roots.pop()


def _only(folders: Iterable[str], suffix: str, about: str) -> str:
    found = [folder for folder in folders if _folded(folder).endswith(suffix)]
    if len(found) != 1:
        raise Malformed(about, f"{len(found)} top-level {suffix} directories; expected one")
    if not found[0].endswith(suffix):
        raise Malformed(about, f"its {suffix} directory is spelled {found[0][:200]!r}")
    return found[0]


def _one_spelling(paths: Iterable[str], wanted: str, about: str) -> None:
    """Exactly `wanted` is there, and nothing that a file system without case would put in its place."""
    length, plain = wanted.count("/"), _folded(wanted)
    found = [path for path in paths if path.count("/") == length and _folded(path) == plain]
    if found != [wanted]:
        raise Malformed(about, f"expected exactly one {wanted[:200]!r}, got {len(found)}")


def _folded(text: str) -> str:
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()


def _check_record(archive: ZipIndex, folder: str) -> None:
    about = f"{archive.about}: RECORD"
    exempt = {f"{folder}/{name}" for name in _SIGNATURES}
    listed: set[str] = set()
    try:
        text = archive.read(f"{folder}/RECORD", limits.ARCHIVE_RECORD).decode()
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            if not row:
                continue
            if len(row) != 3 or row[0] in listed:
                raise Malformed(about, f"a line that is not one file, its digest and size: {','.join(row)[:200]!r}")
            if row[0] not in archive.files and row[0] not in exempt:
                raise Malformed(about, f"{row[0][:200]!r} is listed and not there")
            listed.add(row[0])
    except UnicodeDecodeError:
        raise Malformed(about, "not UTF-8") from None
    except csv.Error as error:
        raise Malformed(about, f"not CSV: {error}") from None
    for path in archive.files:
        if path not in listed and path not in exempt:
            raise Malformed(about, f"{path[:200]!r} is there and not listed")
