"""The links of a page: what an installer would follow, and no page that takes longer than its length."""

from __future__ import annotations

import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.strict.anchors import Anchor, anchors


class Peer(HTMLParser):
    """The standard library's reading of well-formed pages."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Anchor] = []
        self._open: dict[str, str] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open, self._text = {name: value or "" for name, value in attrs}, ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None and "href" in self._open:
            href = self._open.pop("href")
            self.found.append(Anchor(href, self._text, tuple(sorted(self._open.items()))))
            self._open = None


def peer(page: str) -> tuple[Anchor, ...]:
    reader = Peer()
    reader.feed(page)
    reader.close()
    return tuple(reader.found)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<a href="x">y</a>', [Anchor("x", "y", ())]),
        ("<A HREF='x'>y</A>", [Anchor("x", "y", ())]),
        ("<a href=x>y</a>", [Anchor("x", "y", ())]),
        ('<a\n href = "x"\tb c=1>y</a\n>', [Anchor("x", "y", (("b", ""), ("c", "1")))]),
        ('<a href="a&amp;b&#x41;" t="&lt;">&lt;b&gt;</a>', [Anchor("a&bA", "<b>", (("t", "<"),))]),
        ('<a href="x" href="y">z</a>', [Anchor("x", "z", ())]),
        ('<a href="x"/>y</a>', [Anchor("x", "y", ())]),
        ('<a href="a>b">y</a>', [Anchor("a>b", "y", ())]),
        ('<a href="x">1 < 2<b>3</b></a>', [Anchor("x", "1 < 23", ())]),
        ('<a href="x">y<!-- </a> --></a>', [Anchor("x", "y", ())]),
        ('<!--><a href="x">y</a>', [Anchor("x", "y", ())]),
        ('<!-- <a href="x">y</a> -->', []),
        ('<!-- <a href="x">y</a>', []),
        ('<script><a href="x">y</a></script>', []),
        ('<SCRIPT x=">"></SCRIPTS><a href="x">y</a></ScRiPt >', []),
        ('<style><a href="x">y</a>', []),
        ('<!DOCTYPE html><?xml ?><a href="x">y</a>', [Anchor("x", "y", ())]),
        ('<a href="x">y', []),
        ('<a href="x', []),
        ("<a>y</a>", []),
        ('<a name="x">y</a></a>', []),
        ('<a href="x"><a href="z">y</a>', [Anchor("z", "y", ())]),
        ('<abbr href="x">y</abbr>', []),
        ('<a b=\'x" href="y">z</a>', []),
        ("", []),
    ],
)
def test_a_page_is_read_as_an_installer_reads_it(page: str, expected: list[Anchor]) -> None:
    assert list(anchors(page)) == expected


ATTRIBUTES = st.lists(
    st.tuples(st.sampled_from(["href", "data-yanked", "class"]), st.text("ab/.:?&;#<>' ", max_size=8)),
    max_size=3,
    unique_by=lambda pair: pair[0],
)
PIECES = st.one_of(
    ATTRIBUTES.map(lambda pairs: "<a " + " ".join(f'{n}="{v}"' for n, v in pairs) + ">"),
    st.sampled_from(["</a>", "<br>", "<p>", "text", "&amp;", "\n", "<!-- c -->"]),
)


@given(st.lists(PIECES, max_size=12))
def test_what_is_well_formed_is_read_as_the_standard_library_reads_it(pieces: list[str]) -> None:
    page = "".join(pieces)
    assert anchors(page) == peer(page)


@given(st.text("<>a/!-?'\"= \nhref&#;scriptSTYLE[]", max_size=60))
def test_any_text_is_read(page: str) -> None:
    for anchor in anchors(page):
        assert isinstance(anchor.href, str)


ENDLESS = [
    "<a <", "<!--", "<!-- >", "<![CDATA[", "<?", "<a href='", '<a href="', "<a b=", "<a>", "</a", "<", "&#", "<script>",
    "<script></script", '<a b="c">', "<a\n", "<a href=\"'", "<title>", '"', "<a =", "<a/", "<textarea></textareas>",
]  # fmt: skip


@pytest.mark.parametrize("piece", ENDLESS)
@pytest.mark.parametrize("end", ["", ">", "-->", "'\">"])
def test_no_page_takes_longer_than_its_length(piece: str, end: str) -> None:
    """Twenty times as long takes about twenty times as long; quadratic would be four hundred times."""

    def taken(count: int) -> float:
        page = piece * count + end
        began = time.thread_time()
        anchors(page)
        return time.thread_time() - began

    small = max(taken(1000) for _ in range(3))
    assert taken(20_000) < max(small * 20 * 6, 0.1)
