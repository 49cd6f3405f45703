"""What an ecosystem is to the rest of the program: the values and the methods every protocol has.

A protocol is plain synchronous code that opens no socket and no file; large bodies are seekable handles that it is
given. Every one recognises a request (`route`) and puts a refusal into the words its own client prints (`render`).

There are two kinds. With `Packages` (PyPI, npm) a publish is one request: its body is taken piece by piece
(`receiver`), an `Upload` is read from it (`assemble`), the request the registry gets instead is written (`forward`); it
says what the registry holds (`holdings`) and shows a document to a reader (`present`). What it changes without an
upload is a `Change` (`mutation`). With a depot (OCI) content is
deposited by its digest in many requests, and named afterwards: see `gateway.ecosystems.oci`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import BinaryIO, Protocol

from gateway import limits
from gateway.model.case import Grant
from gateway.model.evidence import Evidence
from gateway.model.mutation import Mutation
from gateway.model.upload import Registry, Upload
from gateway.model.vouched import Vouched
from gateway.reasons import Reason


class Verb(Enum):
    """What a request does; UNKNOWN is refused, reads and writes alike."""

    READ = "read"
    DEPOSIT = "deposit"
    PUBLISH = "publish"
    EVIDENCE = "evidence"
    MUTATE = "mutate"
    OWN = "own"  # answered by the gateway itself
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body: `path` is below the registry's mount, still percent-encoded, and starts with `/`."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    def header(self, name: str) -> str | None:
        """One header's value; None where it is absent or given more than once."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Route:
    """What a request is, as its protocol recognised it.

    `package` is the purl that a read or a mutation is about; on a publish it says that the request may turn out to be
    a mutation of that package instead.

    For a read: `path` is what the upstream is asked for, `document` says that the answer is a document the protocol
    presents anew rather than a file that streams through, `file` is the canonical name of the file that streams,
    `derived` that what streams is only about that file, so that its bytes are never those that were accepted, `accept`
    the type that is asked for. `posted` says that the read is a POST whose body goes to
    the registry as it is. `redirect` is a path relative to the mount that the client is sent to instead. `proved` is
    the canonical name whose bundles are presented instead of the document that lists it; `public` says that only those
    of Sigstore's public instance are.

    `login` reads a login that the gateway answers itself from its body, which holds the credential.
    """

    verb: Verb
    path: str = "/"
    package: str | None = None
    file: str | None = None
    document: bool = False
    accept: str = "text/html"
    posted: bool = False
    derived: bool = False
    redirect: str | None = None
    proved: str | None = None
    public: bool = False
    login: Callable[[bytes], Login | Refused] | None = None
    problem: Reason | None = None


class Receiver(Protocol):
    """Takes a publish request's body as it comes; either method raises `Malformed` or `TooLarge`."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """Say that the body is complete; `assemble` may follow."""


def plain(handle: BinaryIO) -> Iterator[bytes]:
    """A file's bytes as they are, in pieces."""
    handle.seek(0)
    while piece := handle.read(limits.CHUNK):
        yield piece


@dataclass(frozen=True, slots=True)
class Write:
    """The request the registry gets: `head`, the spooled file as `encode` writes it, `tail`; never the client's bytes.

    `length` is that of all three.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    head: bytes
    tail: bytes
    length: int
    encode: Callable[[BinaryIO], Iterator[bytes]] = plain


@dataclass(frozen=True, slots=True)
class Assembled:
    """An upload as read from its request, the evidence that came with it, and how to forward it.

    `forward` takes random bytes of 16 for the boundary and gives the request for the registry. `alone` says that the
    registry keeps all that it knows of a package in one document: nothing else of the package is written meanwhile.
    """

    upload: Upload
    evidence: tuple[Evidence, ...]
    forward: Callable[[bytes], Write]
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A publish or a mutation (where it could be read) that is refused before there is anything to decide on."""

    reasons: tuple[Reason, ...]
    mutation: Mutation | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """One file a registry lists: its name, the path it is served at, and the sha256 the registry gives (or None).

    `release` is the canonical version it belongs to: files of one release may be siblings to a removal.
    """

    name: str
    canonical: str
    release: str
    path: str
    sha256: str | None
    attributes: tuple[tuple[str, str], ...] = ()


class Signer(Protocol):
    """What signs for a registry at the time of a request."""

    def sign(self, message: str) -> tuple[str, str] | None:
        """The key's id and a signature in base64; None where no key may sign now."""

    def listed(self) -> bytes:
        """The keys that signatures are verified with, as their clients ask for them."""


@dataclass(frozen=True, slots=True)
class View:
    """What a reader may see of one registry.

    `withheld` maps canonical names to the digest that was verified: hidden from everyone. `accepted`, where it is not
    None (`reads: verified`), maps the only canonical names that are shown to their verified sha256. `address` is the
    registry's public one, for documents whose links must be absolute.

    `vouched` holds, by canonical name, what the gateway answers for, which `signer` signs. `public` names the trust
    roots of Sigstore's public instance; `bundles` holds by their ids those of `Route.proved`.
    """

    withheld: Mapping[str, str] = field(default_factory=dict)
    accepted: Mapping[str, str] | None = None
    address: str = ""
    vouched: Mapping[str, Vouched] = field(default_factory=dict)
    signer: Signer | None = None
    public: frozenset[str] = frozenset()
    bundles: Mapping[str, bytes] = field(default_factory=dict)

    def shows(self, canonical: str) -> bool:
        """Whether a reader may see the file of this canonical name."""
        return canonical not in self.withheld and (self.accepted is None or canonical in self.accepted)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer in the words of the ecosystem's own client. `reason` is the HTTP reason phrase."""

    status: int
    reason: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """The token that a login presents, and the answer where it is a good one."""

    token: str
    done: Reply


@dataclass(frozen=True, slots=True)
class Change:
    """A mutation as read from its request, how to forward it, and the answer when it is done.

    `forward` takes the address and the bytes of the package's document, fetched afresh, and what a reader may see; it
    compares, and gives the request for the registry, written anew. Raises `Malformed` where that document is none.
    """

    mutation: Mutation
    forward: Callable[[str, bytes, View], Write | Refused]
    done: Reply


class Ecosystem(Protocol):
    """One protocol: what every one has. Adding one is a file with its methods and a line in `ECOSYSTEMS`."""

    @property
    def name(self) -> str:
        """What settings and purls call it."""

    def route(self, head: Head) -> Route:
        """Recognise a request by its head alone; what is not recognised is UNKNOWN, never a read."""

    def render(self, reasons: tuple[Reason, ...], link: str, head: Head) -> Reply:
        """Put a refusal into the words the client of this request prints; every reason is in it."""


class Packages(Ecosystem, Protocol):
    """A protocol whose publish is one request that holds the whole upload (PyPI, npm)."""

    @property
    def page_type(self) -> str:
        """The media type in which `holdings` reads a package's document."""

    def receiver(self, head: Head, spool: BinaryIO, limit: int) -> Receiver:
        """Make the reader of one publish request's body; `limit` bounds the file in bytes. Raises `Malformed`."""

    def assemble(self, registry: Registry, received: Receiver) -> Assembled | Change | Refused:
        """Read the upload from a finished receiver of this ecosystem, or the mutation that it turns out to be."""

    def mutation(self, head: Head, body: bytes) -> Change | Refused:
        """Read a mutation from its whole request."""

    def local(self, registry: Registry, file_name: str, handle: BinaryIO) -> Upload | Refused:
        """Read the upload that publishing this one file would be (`provgate verify`)."""

    def page_of(self, name: str) -> str:
        """The upstream path of the document that lists the files of a package, by its normalised name."""

    def holdings(self, base: str, body: bytes) -> tuple[Held, ...]:
        """Read what the registry lists in such a document; `base` is the document's full address.

        A registry that tells `OVW-1.0` from `ovw-1.0` may list several files of one canonical name.
        """

    def present(self, route: Route, base: str, body: bytes, view: View) -> Reply:
        """Show a registry's document to a reader: links rewritten, what the view hides left out."""

    def answer(self, route: Route, grant: Grant | None, view: View) -> Reply | None:
        """Answer what the gateway answers by itself; None where that needs a grant and there is none."""

    def removal(self, held: Held) -> Write | None:
        """The request that takes a damaged file back out of the registry; it may take the file's siblings too."""

    def exists(self) -> Reply:
        """Answer a publish of bytes that are there already, as the ecosystem's original does."""

    def published(self) -> Reply:
        """Answer a publish that went through."""
