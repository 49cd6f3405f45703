"""The names of an archive's members: where each would land is the same for every extractor, and inside the root."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from gateway import limits
from gateway.errors import Malformed, TooLarge

_DRIVE: Final = re.compile(r"[A-Za-z]:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def checked(name: str, about: str) -> str:
    """Return a member's path, without a directory's slash; raises `Malformed` for what does not stay in the root."""
    if len(name) > limits.ARCHIVE_NAME:
        raise TooLarge(about, f"{limits.ARCHIVE_NAME} characters for one member's name")
    path = name.removesuffix("/")
    if _CONTROL.search(path) or "\\" in path or _DRIVE.match(path):
        raise Malformed(about, f"the member name {name[:200]!r} is not portable")
    if not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise Malformed(about, f"the member name {name[:200]!r} does not stay inside")
    return path


@dataclass(slots=True)
class Members:
    """The paths of an archive: a file or link comes once, and is never also a directory that others lie in.

    So nothing is written through a link, whichever order an extractor works in.
    """

    about: str
    files: set[str] = field(default_factory=set)
    links: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    _count: int = 0

    def add_file(self, path: str) -> None:
        """Take a file."""
        self.count()
        if path in self.files:
            raise Malformed(self.about, f"the member {path[:200]!r} is there twice")
        self.files.add(path)

    def add_link(self, path: str) -> None:
        """Take a link."""
        self.add_file(path)
        self.links.add(path)

    def add_folder(self, path: str) -> None:
        """Take a directory, which may come again."""
        self.count()
        self.folders.add(path)

    def count(self) -> None:
        """Count a member that has no path of its own."""
        self._count += 1
        if self._count > limits.ARCHIVE_ENTRIES:
            raise TooLarge(self.about, f"{limits.ARCHIVE_ENTRIES} members")

    def finish(self) -> None:
        """Say that all were seen; raises `Malformed` where a file is also a directory."""
        self._refuse_files_among(self.folders)
        self._refuse_files_among({path.rpartition("/")[0] for path in self.files | self.folders})

    def _refuse_files_among(self, folders: set[str]) -> None:
        # Parents are made one at a time and dropped: kept, they would be many times the archive's own size.
        for folder in folders:
            while folder:
                if folder in self.files:
                    raise Malformed(self.about, f"the member {folder[:200]!r} is both a file and a directory")
                folder = folder.rpartition("/")[0]  # noqa: PLW2901 - upwards
