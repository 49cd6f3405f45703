"""The upload form of PyPI's legacy API, taken piece by piece: fields in memory within bounds, the file to the spool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO, Final

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.model.digest import Digest, Measure
from gateway.strict.multipart import End, PartBegin, PartData, PartEnd, Reader

# Fields that a form may carry more than once; any other one twice is refused, since readers differ in which they take.
_REPEATED: Final = frozenset({
    "classifiers", "platform", "platforms", "supported_platform", "requires", "provides", "obsoletes", "requires_dist",
    "provides_dist", "obsoletes_dist", "requires_external", "project_urls", "provides_extra", "dynamic",
    "license_file", "license_files", "keywords", "import_name", "import_names", "import_namespace", "import_namespaces",
})  # fmt: skip
# What goes upstream besides the file: the package's metadata, never `attestations` (no registry of this kind keeps
# them) and never `gpg_signature` (pypiserver would store it unseen).
FORWARDED: Final = _REPEATED | frozenset({
    ":action", "protocol_version", "metadata_version", "name", "version", "filetype", "pyversion", "comment",
    "md5_digest", "sha256_digest", "blake2_256_digest", "summary", "description", "description_content_type",
    "author", "author_email", "maintainer", "maintainer_email", "license", "license_expression", "home_page",
    "download_url", "requires_python",
})  # fmt: skip
_EARLY_DIGESTS: Final = {"md5_digest": "md5", "blake2_256_digest": "blake2b-256"}


@dataclass(slots=True)
class Fields:
    """The form's text fields in the order they came."""

    pairs: list[tuple[str, str]] = field(default_factory=list)
    size: int = 0

    def single(self, name: str) -> str | None:
        """A field that may come once; None where it did not come."""
        return next((value for key, value in self.pairs if key == name), None)

    def add(self, name: str, value: bytes) -> None:
        """Keep a field; raises `Malformed` for a second one of a name that may come once."""
        if name not in _REPEATED and self.single(name) is not None:
            raise Malformed(f"form field {name}", "it came twice")
        if len(self.pairs) >= limits.FORM_FIELDS:
            raise TooLarge("the form", f"{limits.FORM_FIELDS} fields")
        try:
            self.pairs.append((name, value.decode()))
        except UnicodeDecodeError as error:
            raise Malformed(f"form field {name}", "it is not UTF-8") from error


class FormReceiver:
    """Reads one upload form; the file goes to `spool`, measured with the digests that the form asked for by then."""

    def __init__(self, content_type: str, spool: BinaryIO, limit: int) -> None:
        self.fields = Fields()
        self.spool = spool
        self.file_name = ""
        self._reader = Reader(content_type)
        self._limit = limit
        self._measure: Measure | None = None
        self._part: PartBegin | None = None
        self._value = bytearray()

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return self._measured().size

    def digests(self) -> tuple[Digest, ...]:
        """What was measured of the file."""
        return self._measured().digests()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        for event in self._reader.feed(chunk):
            match event:
                case PartBegin():
                    self._begin(event)
                case PartData():
                    self._data(event.data)
                case PartEnd():
                    self._end()
                case End():
                    pass

    def finish(self) -> None:
        """The body is complete: raises `Malformed` when the form is not, or has no file."""
        self._reader.close()
        self._measured()

    def _measured(self) -> Measure:
        if self._measure is None:
            raise Malformed("form field content", "there is no file")
        return self._measure

    def _begin(self, part: PartBegin) -> None:
        self._part = part
        self._value.clear()
        if part.name == "content":
            if part.filename is None:
                raise Malformed("form field content", "it has no file name")
            if self._measure is not None:
                raise Malformed("form field content", "it came twice")
            self.file_name = part.filename
            self._measure = Measure(a for name, a in _EARLY_DIGESTS.items() if self.fields.single(name) is not None)
        elif part.filename is not None and part.name != "gpg_signature":
            raise Malformed(f"form field {part.name}", "it has a file name")

    def _data(self, data: bytes) -> None:
        if self._part is not None and self._part.name == "content":
            measured = self._measured()
            measured.update(data)
            if measured.size > self._limit:
                raise TooLarge(self.file_name, f"{self._limit} bytes")
            self.spool.write(data)
            return
        self._value += data
        self.fields.size += len(data)
        if len(self._value) > limits.FORM_FIELD:
            raise TooLarge("a form field", f"{limits.FORM_FIELD} bytes")
        if self.fields.size > limits.FORM_TOTAL:
            raise TooLarge("the form's fields", f"{limits.FORM_TOTAL} bytes")

    def _end(self) -> None:
        part, self._part = self._part, None
        if part is not None and part.name != "content":
            self.fields.add(part.name, bytes(self._value))
