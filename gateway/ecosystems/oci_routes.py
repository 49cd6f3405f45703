"""What a request to an OCI registry is, by its method, path and query alone; what is not recognised is refused.

The registry's mount is `/v2`, so a path here starts with the repository: `/team/app/manifests/1.0.0`. It is read from
its end, as registries do, and has one spelling: nothing in it is percent-encoded. In a query clients encode the colon
of a digest. Every parameter belongs to one request; an unknown one may mean something to the registry, so it is
refused, but for containerd's `ns` on reads, which says what registry we are a mirror of and changes nothing here. The
query of an upload under way is the registry's own, and goes back to it byte for byte.

Source: OCI distribution specification 1.1, "Endpoints"; FACTS-OCI 1 and 2.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from gateway import limits
from gateway.ecosystems.protocol import Head
from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.model.names import oci_name, oci_tag
from gateway.reasons import Code, Reason

ALGORITHMS: Final = frozenset({"sha256", "sha512"})
_READS: Final = frozenset({"GET", "HEAD"})
_OURS: Final = frozenset({"digest", "mount", "from", "tag"})
SESSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,255}")  # docker-registry's own pattern
# Parameters too: older Sigstore bundles are `application/vnd.dev.sigstore.bundle+json;version=0.1`.
_WORD: Final = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}(?:; ?{_WORD}={_WORD})*")
_LONGEST_TYPE: Final = 255  # characters; RFC 6838 allows 127 on each side of the slash
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_NAME: Final = r"(?:[A-Za-z0-9._~!$'()*+,:@/?-]|%[0-9A-Fa-f]{2})+"
_VALUE: Final = r"(?:[A-Za-z0-9._~!$'()*+,:@/?=-]|%[0-9A-Fa-f]{2})*"
_QUERY: Final = re.compile(rf"(?:{_NAME}(?:={_VALUE})?(?:&{_NAME}(?:={_VALUE})?)*)?")
# What is wrong with a write, by the part that is; all else is a write that the protocol does not have.
_SPOILED: Final = {
    "digest": Code.DIGEST_INVALID,
    "tag": Code.FILE_NAME_INVALID,
    "repository": Code.FILE_NAME_INVALID,
}
_REMEDIES: Final = {
    Code.FILE_NAME_INVALID: "Name repositories in lower case, parted by slashes; a tag has at most 128 letters, "
    "digits, underscores, dots and dashes, and starts with none of the last two.",
    Code.OPERATION_REFUSED: "Push with an unmodified, current client.",
}


@dataclass(frozen=True, slots=True)
class Ping:
    """`GET /v2/`: is this a registry, and who asks."""


@dataclass(frozen=True, slots=True)
class TagList:
    """`GET <repository>/tags/list`, at most `count` (None: all) after `last`, in the order of the tags' text."""

    repository: str
    count: int | None = None
    last: str = ""


@dataclass(frozen=True, slots=True)
class ManifestRead:
    """`GET` or `HEAD` of `<repository>/manifests/<tag or digest>`."""

    repository: str
    reference: Digest | str
    head: bool = False


@dataclass(frozen=True, slots=True)
class BlobRead:
    """`GET` or `HEAD` of `<repository>/blobs/<digest>`."""

    repository: str
    digest: Digest
    head: bool = False


@dataclass(frozen=True, slots=True)
class ReferrersRead:
    """`GET <repository>/referrers/<digest>`, all or those of one artifact type."""

    repository: str
    digest: Digest
    artifact_type: str | None = None


@dataclass(frozen=True, slots=True)
class UploadStart:
    """`POST <repository>/blobs/uploads/`: with `digest` the body is the whole blob; `mount` may be in `source`."""

    repository: str
    digest: Digest | None = None
    mount: Digest | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class UploadStep:
    """`PATCH`, `PUT`, `GET` or `DELETE` of an upload under way; `session` and `query` are the registry's own words.

    `digest` is there with PUT alone, which ends the upload, and is no part of `query`.
    """

    repository: str
    method: str
    session: str
    query: str = ""
    digest: Digest | None = None


@dataclass(frozen=True, slots=True)
class ManifestWrite:
    """`PUT <repository>/manifests/<digest or tag>`: a deposit, and a publish of each of the tags."""

    repository: str
    digest: Digest | None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """`DELETE` of a tag, a manifest or a blob."""

    repository: str
    kind: str  # `manifests` or `blobs`
    reference: Digest | str


OciRequest = (
    Ping | TagList | ManifestRead | BlobRead | ReferrersRead | UploadStart | UploadStep | ManifestWrite | Delete
)


def request(head: Head) -> OciRequest | Reason:
    """Recognise a request, or say why it is refused."""
    if head.path == "/":
        return Ping() if head.method in _READS and not head.query else _unknown(head)
    kind, repository, last = _parted(head.path)
    read = _READERS.get((kind, "GET" if head.method == "HEAD" else head.method))
    if read is None:
        return _unknown(head)
    try:
        return read(head, oci_name(repository), last)
    except Malformed as error:
        if head.method in _READS:
            return Reason(Code.ROUTE_UNKNOWN, error.about, got=error.problem)
        code = _SPOILED.get(error.about, Code.OPERATION_REFUSED)
        return Reason(code, error.about, got=error.problem, remedy=_REMEDIES.get(code, ""))


def read_digest(text: str) -> Digest:
    """Read a digest of an algorithm that registries address content by; raises `Malformed`."""
    digest = Digest.parse(text)
    if digest.algorithm not in ALGORITHMS:
        raise Malformed("digest", "expected sha256 or sha512")
    return digest


def read_media_type(text: str) -> str:
    """Return a media type, with parameters or without, that a header can carry; raises `Malformed`."""
    if len(text) > _LONGEST_TYPE or _MEDIA_TYPE.fullmatch(text) is None:
        raise Malformed("media type", "not one of RFC 6838")
    return text


def _parted(path: str) -> tuple[str, str, str]:
    """What is asked for (`manifests`, `blobs/uploads`), of which repository, and the last segment."""
    *segments, last = path.split("/")[1:]
    if segments[-2:] == ["blobs", "uploads"]:
        return "blobs/uploads", "/".join(segments[:-2]), last
    return segments[-1] if segments else "", "/".join(segments[:-1]), last


def _unknown(head: Head) -> Reason:
    return Reason(Code.ROUTE_UNKNOWN, f"{head.method} /v2{head.path}")


# --- The requests, each with its parameters ---------------------------------------------------------------------------


def _tag_list(head: Head, repository: str, last: str) -> OciRequest | Reason:
    if last != "list":
        return _unknown(head)
    given = _Parameters.of(head.query, n=1, last=1)
    count, after = given.one("n"), given.one("last")
    if count is not None and _COUNT.fullmatch(count) is None:
        raise Malformed("the parameter n", "expected a number of at most nine digits")
    return TagList(repository, None if count is None else int(count), oci_tag(after) if after else "")


def _manifest_read(head: Head, repository: str, last: str) -> OciRequest:
    _Parameters.of(head.query, ns=1)
    return ManifestRead(repository, _reference(last), head.method == "HEAD")


def _blob_read(head: Head, repository: str, last: str) -> OciRequest:
    _Parameters.of(head.query, ns=1)
    return BlobRead(repository, read_digest(last), head.method == "HEAD")


def _referrers(head: Head, repository: str, last: str) -> OciRequest:
    given = _Parameters.of(head.query, artifactType=1, ns=1)
    wanted = given.one("artifactType")
    return ReferrersRead(repository, read_digest(last), None if wanted is None else read_media_type(wanted))


def _upload_start(head: Head, repository: str, last: str) -> OciRequest | Reason:
    if last:
        return _unknown(head)
    # `digest-algorithm` only says in advance what the closing PUT says with its digest.
    # `origin` (crane's, beside `mount`) names the registry that `from` may be of: here it is always of this one.
    given = _Parameters.of(head.query, digest=1, mount=1, origin=1, **{"from": 1, "digest-algorithm": 1})
    if (given.one("digest-algorithm") or "sha256") not in ALGORITHMS:
        raise Malformed("digest", "expected sha256 or sha512")
    digest, mount, source = given.one("digest"), given.one("mount"), given.one("from")
    if source is not None and mount is None:
        raise Malformed("the parameter from", "without a blob to mount")
    if digest is not None and mount is not None:
        raise Malformed("the parameter digest", "beside mount: a blob is sent or mounted, not both")
    if mount is not None and source is None:
        read_digest(mount)  # the registry would look for it in all repositories: an upload starts instead
        return UploadStart(repository)
    return UploadStart(
        repository,
        None if digest is None else read_digest(digest),
        None if mount is None else read_digest(mount),
        None if source is None else oci_name(source),
    )


def _upload_step(head: Head, repository: str, last: str) -> OciRequest | Reason:
    if SESSION.fullmatch(last) is None or head.method == "HEAD":
        return _unknown(head)
    given = _Parameters.registrys(head.query)
    digest = given.one("digest")
    if (digest is None) is (head.method == "PUT"):
        raise Malformed("digest", "given once with the PUT that ends an upload, and with nothing else")
    query = "&".join(raw for name, _, raw in given.found if name != "digest")
    return UploadStep(repository, head.method, last, query, None if digest is None else read_digest(digest))


def _manifest_write(head: Head, repository: str, last: str) -> OciRequest:
    tags = _Parameters.of(head.query, tag=limits.TAGS_PER_PUSH).all("tag")
    reference = _reference(last)
    if isinstance(reference, Digest):
        return ManifestWrite(repository, reference, tuple(dict.fromkeys(oci_tag(tag) for tag in tags)))
    if tags:
        raise Malformed("the parameter tag", "beside a tag in the path")
    return ManifestWrite(repository, None, (reference,))


def _manifest_delete(head: Head, repository: str, last: str) -> OciRequest:
    _Parameters.of(head.query)
    return Delete(repository, "manifests", _reference(last))


def _blob_delete(head: Head, repository: str, last: str) -> OciRequest:
    _Parameters.of(head.query)
    return Delete(repository, "blobs", read_digest(last))


def _reference(text: str) -> Digest | str:
    """A digest has a colon, which no tag has."""
    return read_digest(text) if ":" in text else oci_tag(text)


_READERS: Final[Mapping[tuple[str, str], Callable[[Head, str, str], OciRequest | Reason]]] = {
    ("tags", "GET"): _tag_list,
    ("manifests", "GET"): _manifest_read,
    ("manifests", "PUT"): _manifest_write,
    ("manifests", "DELETE"): _manifest_delete,
    ("blobs", "GET"): _blob_read,
    ("blobs", "DELETE"): _blob_delete,
    ("referrers", "GET"): _referrers,
    ("blobs/uploads", "POST"): _upload_start,
    ("blobs/uploads", "GET"): _upload_step,
    ("blobs/uploads", "PATCH"): _upload_step,
    ("blobs/uploads", "PUT"): _upload_step,
    ("blobs/uploads", "DELETE"): _upload_step,
}


@dataclass(frozen=True, slots=True)
class _Parameters:
    """A query's parameters, each as its name, its value, and how both were written."""

    found: tuple[tuple[str, str, str], ...]

    @classmethod
    def of(cls, query: str, **most: int) -> _Parameters:
        """Read a query that holds these parameters alone, each at most so often; raises `Malformed`."""
        given = cls._read(query)
        for name, _, _ in given.found:
            if name not in most:
                raise Malformed("the request's query", f"the parameter {name[:60]!r}, which does not belong here")
            if len(given.all(name)) > most[name]:
                raise Malformed("the request's query", f"{name} more than {most[name]} times")
        return given

    @classmethod
    def registrys(cls, query: str) -> _Parameters:
        """Read the query of an upload's address: the registry's own words, with at most our one `digest`."""
        given = cls._read(query)
        for name, _, raw in given.found:
            ours = name.lower() in _OURS
            if ours and (name != "digest" or not raw.startswith("digest=") or len(given.all(name)) > 1):
                raise Malformed("the request's query", f"the parameter {name[:60]!r}, which does not belong here")
        return given

    @classmethod
    def _read(cls, query: str) -> _Parameters:
        # A semicolon parts parameters for some servers; a plus is a blank for most, and no value here holds one.
        if _QUERY.fullmatch(query) is None:
            raise Malformed("the request's query", "not parameters that every server reads alike")
        parts = [(raw, *raw.partition("=")) for raw in query.split("&")] if query else []
        return cls(tuple((unquote(name), unquote(value), raw) for raw, name, _, value in parts))

    def one(self, name: str) -> str | None:
        """The value of a parameter that is given once or not at all."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter, in order."""
        return tuple(value for found, value, _ in self.found if found == name)
