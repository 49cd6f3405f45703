"""PyPI's simple index (PEP 503): read from a registry's HTML, written anew for a reader.

Nothing of the registry's page is copied but the links' targets, names and known attributes, so that a hostile page
cannot put a script or a foreign link in front of a reader. A link that leaves the registry is left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from gateway.ecosystems.protocol import Held, View
from gateway.errors import Malformed
from gateway.model import names
from gateway.strict.anchors import anchors

HEADERS: Final = (("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "sandbox; default-src 'none'"))
_KEPT: Final = frozenset({"data-requires-python", "data-yanked"})
_METADATA: Final = frozenset({"data-dist-info-metadata", "data-core-metadata"})
_HEX: Final = frozenset("0123456789abcdef")
_DIGESTS: Final = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}  # what pip reads
_SAFE: Final = "/%~!$&'()*+,;=:@"
_PLAIN: Final = re.compile(r"/[A-Za-z0-9._~!+@%/-]+")  # as a request for it must look, or it is not recognised


@dataclass(frozen=True, slots=True)
class _Link:
    """One file that a page links to; `fit` says that a reader may be shown it, `fragment` is its digest as linked."""

    held: Held
    fit: bool
    fragment: str


def files(base: str, body: bytes) -> tuple[Held, ...]:
    """The files that a project's page links to, in whatever odd way: each stands in the way of another of its name."""
    return tuple(link.held for link in _links(base, body))


def page(base: str, body: bytes, view: View) -> bytes:
    """A project's page for a reader: what the view shows, with the digest that was accepted where it says so."""
    rows = []
    for link in _links(base, body):
        held = link.held
        if not link.fit or not view.shows(held.canonical):
            continue
        fragment = link.fragment if view.accepted is None else f"sha256={view.accepted[held.canonical]}"
        href = "../.." + held.path + (f"#{fragment}" if fragment else "")
        kept = _KEPT if view.accepted is not None else _KEPT | _METADATA
        attributes = "".join(f' {n}="{html.escape(v)}"' for n, v in held.attributes if n in kept)
        rows.append(f'<a href="{html.escape(href)}"{attributes}>{html.escape(held.name)}</a><br>')
    return _document("Links", rows)


def index(base: str, body: bytes, view: View) -> bytes:
    """The list of projects for a reader."""
    # Copied at once: the view is alive, and a publish may add to it while this runs.
    shown = None if view.accepted is None else {names.canonical_package(file) for file in list(view.accepted)}
    rows = []
    for anchor in anchors(_text(body)):
        try:
            normal = names.pypi_name(anchor.text.strip())
            target = urlsplit(urljoin(base, anchor.href))
        except (Malformed, ValueError):
            continue
        if target.netloc == urlsplit(base).netloc and (shown is None or normal in shown):
            rows.append(f'<a href="{quote(normal)}/">{html.escape(normal)}</a><br>')
    return _document("Simple index", rows)


def _links(base: str, body: bytes) -> Iterator[_Link]:
    root = base.rsplit("/", 3)[0]  # less `/simple/<name>/`, where the name may be `simple`
    for anchor in anchors(_text(body)):
        try:
            target, fragment = urldefrag(urljoin(base, anchor.href))
            place, _, query = target.partition("?")
            if not place.startswith(f"{root}/packages/"):
                continue
            # Quoted where it is not: the path becomes a request line of ours.
            path = quote(place[len(root) :], safe=_SAFE)
            name = unquote(path.rpartition("/")[2])
            canonical = names.canonical_file("pypi", name)
            release = names.pypi_version(names.pypi_spelled(name)[1])
        except (Malformed, ValueError):
            continue  # not a link, or not to a distribution: nobody can ask for it through the gateway either
        plain = _PLAIN.fullmatch(path) is not None and not {".", ".."} & {unquote(part) for part in path.split("/")}
        plain = plain and all(character >= " " for character in unquote(path))
        fit = plain and not query and name == anchor.text.strip()
        algorithm, _, value = fragment.partition("=")
        digest = value if _DIGESTS.get(algorithm) == len(value) and set(value) <= _HEX else None
        held = Held(name, canonical, release, path, digest if algorithm == "sha256" else None, anchor.attributes)
        yield _Link(held, fit, fragment if digest else "")


def _document(title: str, rows: list[str]) -> bytes:
    head = '<!DOCTYPE html>\n<html>\n<head><meta name="pypi:repository-version" content="1.0">'
    return "\n".join([f"{head}<title>{title}</title></head>\n<body>", *rows, "</body>\n</html>\n"]).encode()


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise Malformed("the registry's page", "it is not UTF-8") from error
