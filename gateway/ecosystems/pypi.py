"""PyPI: the legacy upload API as twine and uv speak it (with PEP 740 attestations), and the simple index.

What two parsers could read differently is refused, and what the registry gets is built anew from what was understood:
pypiserver would take a second `:action=remove_pkg` in the same form and delete a stored wheel (FACTS-PYPI-NPM 6).

Sources: Warehouse's upload API, PEP 503 and 691 (index), PEP 592 (yanked), PEP 740 (attestations).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from typing import BinaryIO, Final, cast
from urllib.parse import unquote, urlencode

from gateway import limits
from gateway.ecosystems import pypi_index
from gateway.ecosystems.protocol import (
    Assembled,
    Change,
    Head,
    Held,
    Receiver,
    Refused,
    Reply,
    Route,
    Verb,
    View,
    Write,
)
from gateway.ecosystems.pypi_distribution import read_distribution
from gateway.ecosystems.pypi_form import FORWARDED, FormReceiver
from gateway.ecosystems.rendering import lines, phrase, status_of
from gateway.errors import Malformed, TooLarge
from gateway.model import names
from gateway.model.case import Grant
from gateway.model.digest import Digest, Measure, measure
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.model.upload import Claim, File, Registry, RequestRules, Upload
from gateway.reasons import Code, Reason
from gateway.strict import json as strict_json
from gateway.strict.multipart import encode

UPLOAD_PATHS: Final = frozenset({"/", "/legacy/"})
# The two that PyPI takes (PEP 740 and its amendments).
PREDICATES: Final = frozenset({"https://slsa.dev/provenance/v1", "https://docs.pypi.org/attestations/publish/v1"})
PEP740: Final = RequestRules(every_must_verify=True, single_subject=True, one_per_predicate=True, predicates=PREDICATES)
_FORM_DIGESTS: Final = {"md5_digest": "md5", "sha256_digest": "sha256", "blake2_256_digest": "blake2b-256"}
_FILETYPES: Final = {"bdist_wheel": (".whl",), "sdist": (".tar.gz", ".zip")}
_PATH: Final = re.compile(r"(/[A-Za-z0-9._~!+@%-]+)+/?")
_TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"),)


class PyPI:
    """The protocol; see `gateway.ecosystems.protocol.Packages` for what each method promises."""

    @property
    def name(self) -> str:
        """What settings and purls call it."""
        return "pypi"

    @property
    def page_type(self) -> str:
        """The simple index is read as HTML: every registry has it."""
        return "text/html"

    def route(self, head: Head) -> Route:
        """Recognise an upload (POST to the mount or its `legacy/`), the index, a project's page, a file."""
        if head.method == "POST" and head.path in UPLOAD_PATHS and not head.query:
            return Route(Verb.PUBLISH)
        if head.method not in {"GET", "HEAD"}:
            return Route(Verb.UNKNOWN)
        if head.path in {"/simple", "/simple/"}:
            redirect = None if head.path.endswith("/") else "/simple/"
            return Route(Verb.READ, "/simple/", document=True, redirect=redirect)
        if not _PATH.fullmatch(head.path):
            return Route(Verb.UNKNOWN)
        match head.path.split("/")[1:]:
            case ["simple", name] | ["simple", name, ""]:
                return _project(head.path, unquote(name))
            case ["packages", *folders, file_name] if file_name and "" not in folders:
                return _file(head.path, unquote(file_name))
        return Route(Verb.UNKNOWN)

    def receiver(self, head: Head, spool: BinaryIO, limit: int) -> Receiver:
        """Make the reader of an upload's form."""
        return FormReceiver(head.header("content-type") or "", spool, limit)

    def assemble(self, registry: Registry, received: Receiver) -> Assembled | Refused:
        """Read name and version from file name, metadata and form; disagreement is for `decide` to refuse."""
        form = cast("FormReceiver", received)
        try:
            return _assemble(registry, form)
        except _Refusal as refusal:
            return Refused((refusal.reason,))

    def local(self, registry: Registry, file_name: str, handle: BinaryIO) -> Upload | Refused:
        """Read a distribution on disk; there is no form whose words could differ from its own."""
        measured = Measure()
        handle.seek(0)
        while chunk := handle.read(limits.CHUNK):
            measured.update(chunk)
        try:
            return _upload(registry, file_name, handle, measured.size, measured.digests())
        except _Refusal as refusal:
            return Refused((refusal.reason,))

    def page_of(self, name: str) -> str:
        """The project's page, by its normalised name."""
        return f"/simple/{name}/"

    def holdings(self, base: str, body: bytes) -> tuple[Held, ...]:
        """The files a project's page links to."""
        return pypi_index.files(base, body)

    def present(self, route: Route, base: str, body: bytes, view: View) -> Reply:
        """The index or a project's page, written anew with relative links."""
        page = pypi_index.page(base, body, view) if route.package else pypi_index.index(base, body, view)
        return Reply(200, "OK", page, (("Content-Type", "text/html; charset=utf-8"), *pypi_index.HEADERS))

    def answer(self, route: Route, grant: Grant | None, view: View) -> Reply | None:  # noqa: ARG002 - no route of its own
        """Nothing: this protocol has no such request."""
        return None

    def removal(self, held: Held) -> Write | None:
        """Ask pypiserver to remove what it takes for this release: every file of this spelling of name and version."""
        name, version = names.pypi_spelled(held.name)
        body = urlencode({":action": "remove_pkg", "name": name, "version": version}).encode()
        return Write("POST", "/", (("Content-Type", "application/x-www-form-urlencoded"),), body, b"", len(body))

    def mutation(self, head: Head, body: bytes) -> Change | Refused:  # noqa: ARG002 - none is routed here
        """PyPI's clients change nothing but by uploading."""
        return Refused((Reason(Code.OPERATION_REFUSED, head.path),))

    def exists(self) -> Reply:
        """PyPI answers an identical file that is there with 200."""
        return Reply(200, "OK", b"This file is already there.\n", _TEXT)

    def published(self) -> Reply:
        """A plain 200; twine and uv print nothing of it."""
        return Reply(200, "OK", b"Published.\n", _TEXT)

    def render(self, reasons: tuple[Reason, ...], link: str, head: Head) -> Reply:  # noqa: ARG002 - one form for all
        """A reason phrase for twine, hatch, poetry and flit, which print nothing else; text for uv and people."""
        status = status_of(reasons)
        headers = [*_TEXT, ("X-Content-Type-Options", "nosniff")]
        if status == 401:
            headers.append(("WWW-Authenticate", 'Basic realm="provgate"'))
        if status == 503:
            headers.append(("Retry-After", "30"))
        body = lines(reasons, link).encode("ascii")
        return Reply(status, phrase(reasons, link), body, tuple(headers))


class _Refusal(Exception):
    """Carries a verdict over the frames of this file, no further."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason


def _project(path: str, name: str) -> Route:
    try:
        normal = names.pypi_name(name)
    except Malformed:
        return Route(Verb.UNKNOWN)
    there = f"/simple/{normal}/"
    redirect = None if path == there else there
    return Route(Verb.READ, there, package=names.purl("pypi", normal), document=True, redirect=redirect)


def _file(path: str, file_name: str) -> Route:
    if "/" in file_name or any(unquote(segment) in {".", ".."} for segment in path.split("/")):
        return Route(Verb.UNKNOWN)
    distribution = file_name.removesuffix(".metadata")  # PEP 658
    try:
        canonical = names.canonical_file("pypi", distribution)
        package = names.purl("pypi", names.pypi_spelled(distribution)[0])
    except Malformed:
        return Route(Verb.UNKNOWN)
    return Route(Verb.READ, path, package=package, file=canonical, derived=distribution != file_name)


def _assemble(registry: Registry, form: FormReceiver) -> Assembled:
    one = form.fields.single
    _need(one(":action") == "file_upload", ":action", "file_upload", one(":action"))
    _need(one("protocol_version") in {"1", None}, "protocol_version", "1", one("protocol_version"))
    filetype = one("filetype") or ""
    fits = form.file_name.endswith(_FILETYPES.get(filetype, ()))
    _need(fits, "filetype", f"that of {form.file_name}", filetype or None)
    stated = {_FORM_DIGESTS[key]: value for key in _FORM_DIGESTS if (value := one(key)) is not None}
    digests = form.digests()
    if set(stated) - {digest.algorithm for digest in digests}:
        digests = measure(form.spool, {*stated, *(digest.algorithm for digest in digests)})
    upload = _upload(registry, form.file_name, form.spool, form.size, digests)
    claims = [Claim("form", key, one(key) or "", form.file_name) for key in ("name", "version")]
    # A form's digest is compared without regard to case: some clients write it in upper case.
    claims += [Claim("form", f"digest:{name}", value.lower(), form.file_name) for name, value in stated.items()]
    upload = replace(upload, claims=(*upload.claims, *claims))
    return Assembled(upload, _attestations(one("attestations")), lambda random: _forward(form, random))


def _upload(registry: Registry, file_name: str, handle: BinaryIO, size: int, digests: tuple[Digest, ...]) -> Upload:
    """The upload as the artifact itself tells it: name and version are those of its metadata."""
    try:
        canonical = names.canonical_file("pypi", file_name)
    except Malformed as error:
        reason = Reason(Code.FILE_NAME_INVALID, "file name", "a wheel's or an sdist's", f"{file_name}: {error.problem}")
        raise _Refusal(reason) from error
    try:
        found = read_distribution(handle, file_name)
        name, version = names.pypi_name(found.name), names.pypi_version(found.version)
    except TooLarge as error:
        reason = Reason(Code.ARCHIVE_TOO_LARGE, f"{file_name}: {error.about}", f"at most {error.limit}")
        raise _Refusal(reason) from error
    except Malformed as error:
        raise _Refusal(Reason(Code.ARCHIVE_MALFORMED, f"{file_name}: {error.about}", got=error.problem)) from error
    purl = names.purl("pypi", name)
    file = File(file_name, canonical, size, digests, frozenset({canonical, f"{purl}@{found.version}"}))
    return Upload(registry, purl, name, found.version, version, (file,), claims=found.claims, request_rules=PEP740)


def _need(holds: bool, about: str, expected: str, got: str | None) -> None:  # noqa: FBT001
    if not holds:
        raise _Refusal(Reason(Code.UPLOAD_MALFORMED, f"form field {about}", expected, got or "nothing"))


def _attestations(text: str | None) -> tuple[Evidence, ...]:
    """The PEP 740 objects of the form's field; each is kept as its own document."""
    if text is None:
        return ()
    about = "form field attestations"
    try:
        listed = strict_json.parse(text, about, limit=limits.FORM_FIELD)
    except Malformed as error:
        raise _Refusal(Reason(Code.EVIDENCE_MALFORMED, about, "a JSON list", error.problem)) from error
    if not isinstance(listed, list) or not listed:
        raise _Refusal(Reason(Code.EVIDENCE_MALFORMED, about, "a JSON list of attestation objects", text[:60]))
    if len(listed) > limits.EVIDENCE_PER_REQUEST:
        raise _Refusal(
            Reason(Code.EVIDENCE_LIMIT, about, f"at most {limits.EVIDENCE_PER_REQUEST}", f"{len(listed)} attestations")
        )
    bodies = [json.dumps(item, sort_keys=True, separators=(",", ":")).encode() for item in listed]
    return tuple(
        Evidence(EvidenceRef(hashlib.sha256(body).hexdigest(), Format.PEP740, Source.REQUEST, position), body)
        for position, body in enumerate(bodies)
    )


def _forward(form: FormReceiver, random: bytes) -> Write:
    """The upload as the registry gets it: the fields that the protocol knows, then the file, under a new boundary."""
    fields = [(name, value) for name, value in form.fields.pairs if name in FORWARDED]
    encoded = encode(fields, "content", form.file_name, form.size, randomness=random)
    headers = (("Content-Type", encoded.content_type),)
    return Write("POST", "/", headers, encoded.head, encoded.tail, encoded.length)
