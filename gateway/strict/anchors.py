"""The links of an HTML page, read in time that grows with the page and no faster, whatever the page is made of.

The standard library's parser takes quadratic time over what is never closed (`<!--`, `<a <a <a`), which lets one page
of 64 MiB keep a thread for days. What is read here is what an installer reads: `<a href=...>text</a>`, with its
attributes; comments, scripts and the like are passed over, and at the first thing that never ends, so does the reading.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Final

_TAG: Final = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
# A name, and the value that may follow it: quoted, bare, or begun with a quote that nothing closes.
_ATTRIBUTE: Final = re.compile(r"([^\s/>][^\s/>=]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>][^\s>]*)|([\"'])))?")
_SPACE: Final = re.compile(r"[\s/]*")
_OPAQUE: Final = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})


@dataclass(frozen=True, slots=True)
class Anchor:
    """One link; `text` is what stands between the tags, `attributes` are those beside `href`, in order of name."""

    href: str
    text: str
    attributes: tuple[tuple[str, str], ...]


def anchors(page: str) -> tuple[Anchor, ...]:
    """Every `<a>` with a `href`; one that is never closed is none."""
    return tuple(_Reader(page).read())


class _Reader:
    def __init__(self, page: str) -> None:
        self._page = page
        self._at = 0
        self._open: dict[str, str] | None = None
        self._text: list[str] = []

    def read(self) -> list[Anchor]:
        found: list[Anchor] = []
        while (start := self._page.find("<", self._at)) >= 0:
            self._data(start)
            if not self._markup(start, found):
                break
        return found

    def _data(self, end: int) -> None:
        if self._open is not None and end > self._at:
            self._text.append(self._page[self._at : end])

    def _markup(self, start: int, found: list[Anchor]) -> bool:
        """Pass over what begins here; False where it never ends."""
        page = self._page
        if page.startswith("<!--", start):
            return self._past(page.find("-->", start + 2), 3)  # `<!-->` is one too
        if page.startswith(("<!", "<?"), start):
            return self._past(page.find(">", start), 1)
        tag = _TAG.match(page, start)
        if tag is None:  # a bare `<` is text
            self._at = start
            self._data(start + 1)
            self._at = start + 1
            return True
        self._at = tag.end()
        attributes = self._attributes()
        if attributes is None:
            return False
        name = tag[2].lower()
        if name == "a":
            self._anchor(None if tag[1] else attributes, found)
        elif name in _OPAQUE and not tag[1]:
            end = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(page, self._at)
            return end is not None and self._past(end.start(), 0)
        return True

    def _anchor(self, opened: dict[str, str] | None, found: list[Anchor]) -> None:
        if opened is None and self._open is not None and "href" in self._open:
            href = self._open.pop("href")
            found.append(Anchor(href, html.unescape("".join(self._text)), tuple(sorted(self._open.items()))))
        self._open, self._text = opened, []

    def _attributes(self) -> dict[str, str] | None:
        """The attributes up to the tag's end, the first of each name; None where it has no end."""
        page = self._page
        found: dict[str, str] = {}
        while True:
            self._at = _end(_SPACE.match(page, self._at))
            if self._at >= len(page):
                return None
            if page[self._at] == ">":
                self._at += 1
                return found
            one = _ATTRIBUTE.match(page, self._at)
            assert one is not None  # neither blank, slash nor the tag's end stands here
            if one[5]:
                return None
            self._at = one.end()
            value = next((text for text in one.group(2, 3, 4) if text is not None), "")
            found.setdefault(one[1].lower(), html.unescape(value))

    def _past(self, where: int, size: int) -> bool:
        self._at = where + size
        return where >= 0


def _end(match: re.Match[str] | None) -> int:
    assert match is not None  # the pattern takes nothing too
    return match.end()
