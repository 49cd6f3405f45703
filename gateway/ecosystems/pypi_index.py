"""PyPI's simple index (PEP 503): read from a registry's HTML, written anew for a reader.

Nothing of the registry's page is copied but the links' targets, names and known attributes, so that a hostile page
cannot put a script or a foreign link in front of a reader. A link that leaves the registry is left out.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from gateway.ecosystems.protocol import Held, View
from gateway.errors import Malformed
from gateway.model import names

HEADERS: Final = (("X-Content-Type-Options", "nosniff"), ("Content-Security-Policy", "sandbox; default-src 'none'"))
_KEPT: Final = frozenset({"data-requires-python", "data-yanked"})
_METADATA: Final = frozenset({"data-dist-info-metadata", "data-core-metadata"})
_SHA256: Final = frozenset("0123456789abcdef")


def files(base: str, body: bytes) -> tuple[Held, ...]:
    """The files that a project's page links to."""
    return tuple(_files(base, body))


def page(base: str, body: bytes, view: View) -> bytes:
    """A project's page for a reader: what the view shows, with the digest that was accepted where it says so."""
    rows = []
    for held in _files(base, body):
        if not view.shows(held.canonical):
            continue
        digest = held.sha256 if view.accepted is None else view.accepted[held.canonical]
        href = "../.." + held.path + (f"#sha256={digest}" if digest else "")
        kept = _KEPT if view.accepted is not None else _KEPT | _METADATA
        attributes = "".join(f' {n}="{html.escape(v)}"' for n, v in held.attributes if n in kept)
        rows.append(f'<a href="{html.escape(href)}"{attributes}>{html.escape(held.name)}</a><br>')
    return _document("Links", rows)


def index(base: str, body: bytes, view: View) -> bytes:
    """The list of projects for a reader."""
    rows = []
    for href, text, _ in _anchors(body):
        try:
            normal = names.pypi_name(text.strip())
        except Malformed:
            continue
        if urlsplit(urljoin(base, href)).netloc == urlsplit(base).netloc and _any_shown(normal, view):
            rows.append(f'<a href="{quote(normal)}/">{html.escape(normal)}</a><br>')
    return _document("Simple index", rows)


def _any_shown(normal: str, view: View) -> bool:
    return view.accepted is None or any(names.canonical_package(file) == normal for file in view.accepted)


def _files(base: str, body: bytes) -> Iterator[Held]:
    root, _, _ = base.rpartition("/simple/")
    for href, text, attributes in _anchors(body):
        target, fragment = urldefrag(urljoin(base, href))
        if not target.startswith(f"{root}/packages/") or urlsplit(target).query:
            continue
        path = target[len(root) :]
        name = unquote(path.rpartition("/")[2])
        if name != text.strip() or ".." in path.split("/"):
            continue
        try:
            canonical = names.canonical_file("pypi", name)
            release = names.pypi_version(names.pypi_spelled(name)[1])
        except Malformed:
            continue  # not a distribution: nobody can ask for it through the gateway either
        yield Held(name, canonical, release, path, _sha256(fragment), attributes)


def _sha256(fragment: str) -> str | None:
    algorithm, _, value = fragment.partition("=")
    return value if algorithm == "sha256" and len(value) == 64 and set(value) <= _SHA256 else None


def _document(title: str, rows: list[str]) -> bytes:
    head = '<!DOCTYPE html>\n<html>\n<head><meta name="pypi:repository-version" content="1.0">'
    return "\n".join([f"{head}<title>{title}</title></head>\n<body>", *rows, "</body>\n</html>\n"]).encode()


def _anchors(body: bytes) -> list[tuple[str, str, tuple[tuple[str, str], ...]]]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Malformed("the registry's page", "it is not UTF-8") from error
    reader = _Anchors()
    reader.feed(text)
    reader.close()
    return reader.found


class _Anchors(HTMLParser):
    """Collects `<a href=...>text</a>` with its attributes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, str, tuple[tuple[str, str], ...]]] = []
        self._open: dict[str, str] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open = {name: value or "" for name, value in attrs}
            self._text = ""

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            if (href := self._open.pop("href", None)) is not None:
                self.found.append((href, self._text, tuple(sorted(self._open.items()))))
            self._open = None
