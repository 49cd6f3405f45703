"""npm: `npm publish` as npm, pnpm and yarn speak it, packuments, tarballs, search and audit.

A publish is one JSON document that holds the tarball in base64. It is read strictly once, and what the registry gets is
written anew from what was understood: verdaccio believes nearly everything (FACTS-PYPI-NPM 6).

Sources: libnpmpublish, npm-registry-fetch; npm's registry API; verdaccio 6.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import BinaryIO, Final, cast

from gateway import limits
from gateway.ecosystems import npm_mutations, npm_packument, npm_routes, npm_signed
from gateway.ecosystems.npm_body import DocumentReceiver
from gateway.ecosystems.npm_document import Document, address, claims, read_document, rebuilt
from gateway.ecosystems.npm_package import Package, read_package
from gateway.ecosystems.protocol import Assembled, Change, Head, Held, Receiver, Refused, Reply, Route, View, Write
from gateway.ecosystems.rendering import lines, phrase, status_of
from gateway.errors import Malformed, TooLarge
from gateway.model.case import Grant
from gateway.model.digest import Digest, Measure
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.model.names import npm_canonical, npm_file, purl
from gateway.model.upload import File, Registry, RequestRules, Upload
from gateway.reasons import Code, Reason

# As the public registry holds it: one bundle, of this one tarball, or the publish is refused.
PROVENANCE: Final = RequestRules(every_must_verify=True, single_subject=True)
_REMEDIES: Final = {
    Code.EVIDENCE_MISSING: "Publish from CI with npm publish --provenance, or send the bundle of the very tarball "
    "first with provgate attach.",
    Code.PACKAGE_METADATA_MISMATCH: "Pack and publish in one step, from one package.json; do not edit the tarball.",
}
_JSON: Final = ("Content-Type", "application/json")
_TEXT: Final = ("Content-Type", "text/plain; charset=utf-8")
_NOSNIFF: Final = ("X-Content-Type-Options", "nosniff")


class Npm:
    """The protocol; see `gateway.ecosystems.protocol.Packages` for what each method promises."""

    @property
    def name(self) -> str:
        """What settings and purls call it."""
        return "npm"

    @property
    def page_type(self) -> str:
        """A packument is asked for whole: the abbreviated one is written for installers."""
        return npm_routes.FULL

    def route(self, head: Head) -> Route:
        """Recognise a publish, a packument, a tarball, a search, an audit, and what is refused in clear words."""
        return npm_routes.route(head)

    def receiver(self, head: Head, spool: BinaryIO, limit: int) -> Receiver:
        """Make the reader of a publish document."""
        content_type = (head.header("content-type") or "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            raise Malformed("Content-Type", f"{content_type[:60]!r}; expected application/json")
        return DocumentReceiver(head.path, spool, limit)

    def assemble(self, registry: Registry, received: Receiver) -> Assembled | Change | Refused:
        """Read the package out of its tarball; what the document says of it is for `decide` to compare."""
        body = cast("DocumentReceiver", received)
        if body.size is None:
            return npm_mutations.deprecation(body.path, body.document)
        try:
            document, named = read_document(body.document), npm_routes.package_of(body.path)
        except TooLarge as error:
            return Refused((Reason(Code.UPLOAD_TOO_LARGE, error.about, f"at most {error.limit}"),))
        except Malformed as error:
            return Refused((Reason(Code.UPLOAD_MALFORMED, error.about, got=error.problem),))
        read = _package(body.spool, document.tarball.key)
        if isinstance(read, Refused):
            return read
        upload = _upload(registry, read, body.size, body.digests())
        (file,) = upload.files
        try:
            said = claims(document, named, read, file)
        except Malformed as error:
            return Refused((Reason(Code.UPLOAD_MALFORMED, error.about, got=error.problem),))
        return Assembled(
            replace(upload, claims=said), _evidence(document), lambda _: rebuilt(document, file, read), alone=True
        )

    def mutation(self, head: Head, body: bytes) -> Change | Refused:
        """`npm dist-tag`; a deprecation comes as a publish does."""
        return npm_mutations.tagging(head, body)

    def local(self, registry: Registry, file_name: str, handle: BinaryIO) -> Upload | Refused:
        """Read a tarball on disk."""
        measured = Measure(("sha1", "sha512"))
        handle.seek(0)
        while chunk := handle.read(limits.CHUNK):
            measured.update(chunk)
        read = _package(handle, file_name)
        return read if isinstance(read, Refused) else _upload(registry, read, measured.size, measured.digests())

    def page_of(self, name: str) -> str:
        """The packument."""
        return address(name)

    def holdings(self, base: str, body: bytes) -> tuple[Held, ...]:
        """The versions that a packument lists."""
        return npm_packument.held(base, body)

    def present(self, route: Route, base: str, body: bytes, view: View) -> Reply:
        """A packument, a package's tags or a search, less what is withheld; or the bundles of one version."""
        if route.path.startswith(npm_routes.SEARCH):
            return Reply(200, "OK", npm_packument.search(body, view), (_JSON, _NOSNIFF))
        if route.path.startswith("/-/package/"):
            return Reply(200, "OK", npm_packument.tags(_named(route), body, view), (_JSON, _NOSNIFF))
        if route.proved is not None:
            name, _, version = route.proved.rpartition("@")
            bundles = npm_signed.attestations(name, version, route, view) if view.shows(route.proved) else None
            if bundles is None:
                return Reply(404, "Not Found", b'{"error":"no attestation of it is kept"}', (_JSON, _NOSNIFF))
            return Reply(200, "OK", bundles, (_JSON, _NOSNIFF))
        shown = npm_packument.packument(base, body, view)
        if shown is None:
            return Reply(404, "Not Found", b'{"error":"no version of it may be seen"}', (_JSON, _NOSNIFF))
        return Reply(200, "OK", shown, (("Content-Type", route.accept), _NOSNIFF, ("Vary", "Accept")))

    def answer(self, route: Route, grant: Grant | None, view: View) -> Reply | None:
        """`npm ping` and the keys need no credential, `npm whoami` names the one who answers for the token."""
        if route.path == "/-/ping":
            return Reply(200, "OK", b"{}", (_JSON,))
        if route.path == npm_routes.LOGOUT:  # npm then forgets the token; others may be using it, so it stays good
            return Reply(200, "OK", b'{"ok":true}', (_JSON,))
        if route.path == npm_routes.KEYS:
            if view.signer is None:
                return Reply(404, "Not Found", b'{"error":"this registry has no signing keys"}', (_JSON,))
            return Reply(200, "OK", view.signer.listed(), (_JSON,))
        if grant is None:
            return None
        return Reply(200, "OK", json.dumps({"username": grant.owner}).encode(), (_JSON,))

    def removal(self, held: Held) -> Write | None:  # noqa: ARG002 - no version can be taken out by one request
        """Nothing: a registry takes a version out in two requests, which may stop between them."""
        return None

    def exists(self) -> Reply:
        """The public registry refuses a version that is there, whatever its bytes."""
        said = "This version is already there, with these very bytes; nothing was changed."
        return Reply(409, "Conflict", json.dumps({"error": said}).encode(), (_JSON,))

    def published(self) -> Reply:
        """What npm's own registry says; clients read the status alone."""
        return Reply(201, "Created", b'{"ok":true,"success":true}', (_JSON,))

    def render(self, reasons: tuple[Reason, ...], link: str, head: Head) -> Reply:
        """`{"error": lines}` for npm and yarn; text for pnpm, which prints JSON as it stands.

        A 401 carries no challenge: npm would say "incorrect password" and nothing of ours.
        """
        status, text = status_of(reasons), lines([_in_its_words(reason) for reason in reasons], link)
        plain = (head.header("user-agent") or "").startswith("pnpm/")
        headers = [_TEXT if plain else _JSON, _NOSNIFF]
        if status == 503:
            headers.append(("Retry-After", "30"))
        body = text if plain else json.dumps({"error": text})
        return Reply(status, phrase(reasons, link), body.encode("ascii"), tuple(headers))


def _in_its_words(reason: Reason) -> Reason:
    """A reason with the remedy for npm, where the catalogue's own speaks of other clients."""
    remedy = _REMEDIES.get(reason.code)
    return replace(reason, remedy=remedy) if remedy and reason.remedy == reason.entry.remedy else reason


def _package(handle: BinaryIO, file_name: str) -> Package | Refused:
    try:
        return read_package(handle)
    except TooLarge as error:
        return Refused((Reason(Code.ARCHIVE_TOO_LARGE, f"{file_name}: {error.about}", f"at most {error.limit}"),))
    except Malformed as error:
        return Refused((Reason(Code.ARCHIVE_MALFORMED, f"{file_name}: {error.about}", got=error.problem),))


def _upload(registry: Registry, package: Package, size: int, digests: tuple[Digest, ...]) -> Upload:
    """The upload as the tarball itself tells it."""
    name, version = package.name, package.version
    whole = purl("npm", name)
    packed = f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"  # what `npm pack` calls it
    names = frozenset({f"{whole}@{version}", packed})
    file = File(npm_file(name, version), npm_canonical(name, version), size, digests, names)
    return Upload(registry, whole, name, version, version, (file,), request_rules=PROVENANCE)


def _evidence(document: Document) -> tuple[Evidence, ...]:
    """The bundle that came as an attachment: its data is the bundle's text, not base64."""
    if document.bundle is None:
        return ()
    body = document.bundle.data.encode()
    return (Evidence(EvidenceRef(hashlib.sha256(body).hexdigest(), Format.BUNDLE, Source.REQUEST), body),)


def _named(route: Route) -> str:
    """The name in a purl."""
    return (route.package or "").removeprefix("pkg:npm/").replace("%40", "@", 1)
