"""OCI: images, charts and artifacts as docker, skopeo, buildah, oras and cosign push them.

Content is deposited by its digest in many requests, and named by a tag afterwards: `oci_routes` tells the requests
apart, `oci_manifest` and `oci_evidence` say what a manifest is, `oci_answers` what a registry answers. Here is what the
rest of the program asks of every protocol, and the `Upload` that a push of a tag is.

Sources: OCI distribution specification 1.1; FACTS-OCI 4 (what each client prints of an error).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import quote

from gateway import limits
from gateway.ecosystems import oci_routes as routes
from gateway.ecosystems.oci_answers import JSON, NOSNIFF, VERSION
from gateway.ecosystems.protocol import Head, Reply, Route, Verb
from gateway.ecosystems.rendering import lines, phrase, status_of
from gateway.model.digest import Measure
from gateway.model.names import oci_canonical, purl
from gateway.model.upload import File, Registry, Upload
from gateway.reasons import Code, Reason, ascii_text

# The distribution specification's codes for ours; what has none here is DENIED, and what is not there goes by its path.
# MANIFEST_INVALID is for bytes that cannot be read, alone: skopeo and buildah answer it with another manifest.
_CODES: Final = {
    Code.CREDENTIAL_MISSING: "UNAUTHORIZED",
    Code.CREDENTIAL_INVALID: "UNAUTHORIZED",
    Code.CREDENTIAL_EXPIRED: "UNAUTHORIZED",
    Code.DIGEST_INVALID: "DIGEST_INVALID",
    Code.CONTENT_MISSING: "MANIFEST_BLOB_UNKNOWN",
    Code.FILE_NAME_INVALID: "NAME_INVALID",
    Code.UPLOAD_MALFORMED: "MANIFEST_INVALID",
    Code.UPLOAD_TOO_LARGE: "SIZE_INVALID",
    Code.SPOOL_FULL: "TOOMANYREQUESTS",
    Code.METHOD_UNKNOWN: "UNSUPPORTED",
    Code.CONTENT_ENCODING: "UNSUPPORTED",
    Code.REQUEST_MALFORMED: "UNSUPPORTED",
}
_WIDTHS: Final = (400, 200, 100, 60)  # characters for each reason where all of them in full are too long


class Oci:
    """The protocol; see `gateway.ecosystems.protocol.Ecosystem` for what each method promises."""

    @property
    def name(self) -> str:
        """What settings and purls call it."""
        return "oci"

    def route(self, head: Head) -> Route:
        """Recognise a request as what it does; `oci_routes.request` says the rest."""
        match routes.request(head):
            case Reason() as problem:
                return Route(Verb.UNKNOWN, problem=problem)
            case routes.Ping():
                return Route(Verb.OWN)
            case routes.ManifestRead() | routes.TagList() | routes.ReferrersRead() as read:
                return Route(Verb.READ, head.path, package=purl("oci", read.repository), document=True)
            case routes.BlobRead() as read:
                return Route(Verb.READ, head.path, package=purl("oci", read.repository))
            case routes.UploadStart() | routes.UploadStep():
                return Route(Verb.DEPOSIT)
            case routes.ManifestWrite() as write:
                return Route(Verb.PUBLISH if write.tags else Verb.DEPOSIT)
            case routes.Delete():
                return Route(Verb.MUTATE)

    def render(self, reasons: tuple[Reason, ...], link: str, head: Head) -> Reply:
        """One error without detail, the whole reason in its message: newer clients print the first error alone.

        A 401 still needs its challenge, which says where the tokens are.
        """
        status, first = status_of(reasons), phrase(reasons, link)
        code = _code(next(reason for reason in reasons if reason.entry.status == status), head)
        headers = [JSON, NOSNIFF, VERSION]
        if status == 503:
            headers.append(("Retry-After", "30"))
        body = next(fits for fits in _bodies(code, first, reasons, link) if len(fits) < limits.REASON_MESSAGE)
        return Reply(status, first, body, tuple(headers))


def upload(registry: Registry, hosts: Iterable[str], repository: str, tag: str, manifest: bytes) -> Upload:
    """The publish that a push of a tag is; evidence may name it with each of the registry's hosts, or with none."""
    measured = Measure(("sha512",))
    measured.update(manifest)
    digests = measured.digests()
    whole, canonical = purl("oci", repository), oci_canonical(repository, tag)
    references = [f"@{digest}" for digest in digests]
    places = [repository, *(f"{host}/{repository}" for host in sorted(hosts))]
    names = {f"{place}{end}" for place in places for end in ("", f":{tag}", *references)}
    names |= {f"{whole}{end}" for end in ("", f"@{tag}", *references, *map(_escaped, references))}
    names |= set(_purls(repository, places[1:], [_escaped(reference) for reference in references]))
    file = File(canonical, canonical, measured.size, digests, frozenset(names))
    return Upload(registry, whole, repository, tag, tag, (file,), movable=True)


def _purls(repository: str, places: Sequence[str], references: Sequence[str]) -> Iterator[str]:
    """As the purl specification has it: the last part of the name, the digest, and where the repository is."""
    last = repository.rpartition("/")[2]
    for reference in references:
        for place in places:
            yield f"pkg:oci/{last}{reference}?repository_url={place}"
            yield f"pkg:oci/{last}{reference}?repository_url={quote(place, safe='')}"


def _escaped(reference: str) -> str:
    return reference.replace(":", "%3A")


def _code(reason: Reason, head: Head) -> str:
    """The specification's code for the reason that decides the status."""
    if reason.entry.status == 404:
        return _unknown(head)
    code = _CODES.get(reason.code, "DENIED")
    return "UNSUPPORTED" if code == "MANIFEST_INVALID" and "/manifests/" not in head.path else code


def _unknown(head: Head) -> str:
    """What is not there, by what was asked for."""
    kind = head.path.rpartition("/")[0]
    for end, code in (
        ("/manifests", "MANIFEST_UNKNOWN"),
        ("/blobs/uploads", "BLOB_UPLOAD_UNKNOWN"),
        ("/blobs", "BLOB_UNKNOWN"),
        ("/tags", "NAME_UNKNOWN"),
        ("/referrers", "NAME_UNKNOWN"),
    ):
        if kind.endswith(end):
            return code
    return "UNSUPPORTED"


def _bodies(code: str, first: str, reasons: Sequence[Reason], link: str) -> Iterator[bytes]:
    """The refusal in full, then ever shorter; the link is in each of them, and last."""
    yield _error(code, f"{first}\n{lines(reasons, link)}")
    close = f"  Every check: {ascii_text(link)}\n"
    for width in _WIDTHS:
        every = "\n".join(f"  {reason.line(width)}" for reason in reasons)
        yield _error(code, f"{first}\n\n{every}\n\n{close}")
    yield _error(code, f"{first}\n\n{close}")


def _error(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()
