"""The simple index, written anew: every link stays below the mount, and nothing else of the page is passed on."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import unquote, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ecosystems.protocol import View
from gateway.ecosystems.pypi_index import files, index, page
from gateway.errors import Malformed

BASE = "http://registry:8080/base/simple/acme-lib/"
ROOT = "http://registry:8080/base/simple/"
WHEEL = "acme_lib-1.0-py3-none-any.whl"
SDIST = "acme_lib-1.0.tar.gz"
SHA = "a" * 64
SHOWN = re.compile(rb'<a href="(\.\./\.\./packages/[^"<>\s]+)"(?: [a-z-]+="[^"<>]*")*>([A-Za-z0-9._!+-]+)</a><br>')
FRAME = re.compile(
    rb'<!DOCTYPE html>\n<html>\n<head><meta name="pypi:repository-version" content="1\.0"><title>[A-Za-z ]+</title>'
    rb"</head>\n<body>\n(.*?)\n?</body>\n</html>\n",
    re.DOTALL,
)


def link(name: str, *, href: str | None = None, text: str | None = None, more: str = "") -> str:
    return f'<a href="{href or f"/base/packages/{name}"}"{more}>{name if text is None else text}</a>'


def rows(body: bytes) -> list[bytes]:
    whole = FRAME.fullmatch(body)
    assert whole is not None, body
    return [row for row in whole[1].split(b"\n") if row]


def test_a_link_is_relative_and_keeps_its_hash_and_what_an_installer_needs() -> None:
    more = ' data-requires-python="&gt;=3.9" data-yanked="why &quot;" data-core-metadata="sha256=aa" onclick="x" rel=y'
    body = link(WHEEL, href=f"/base/packages/{WHEEL}#sha256={SHA}", more=more).encode()
    assert rows(page(BASE, body, View())) == [
        f'<a href="../../packages/{WHEEL}#sha256={SHA}" data-core-metadata="sha256=aa"'
        f' data-requires-python="&gt;=3.9" data-yanked="why &quot;">{WHEEL}</a><br>'.encode()
    ]
    (held,) = files(BASE, body)
    assert (held.name, held.path, held.sha256, held.release) == (WHEEL, f"/packages/{WHEEL}", SHA, "1")


@pytest.mark.parametrize(
    "href",
    [
        "../../packages/{}", "/base/packages/{}", "http://registry:8080/base/packages/{}",
        "//registry:8080/base/packages/{}", "/base/simple/../packages/{}", "/base/packages/aa/bb/{}",
    ],
)  # fmt: skip
def test_however_it_is_written_a_link_into_the_registry_is_found(href: str) -> None:
    (row,) = rows(page(BASE, link(WHEEL, href=href.format(WHEEL)).encode(), View()))
    found = SHOWN.fullmatch(row)
    assert found is not None
    assert urljoin("/pypi/simple/acme-lib/", found[1].decode()).startswith("/pypi/packages/")


@pytest.mark.parametrize(
    "odd",
    [
        link(WHEEL, text=SDIST), link(WHEEL, href=f"/base/packages/{WHEEL}?x"),
        link(WHEEL, href=f"/base/packages/a%00/{WHEEL}"), link(WHEEL, href=f"/base/packages/%2e%2E/{WHEEL}"),
        link(WHEEL, href=f"/base/packages/a;b/{WHEEL}"),
    ],
)  # fmt: skip
def test_what_is_listed_in_an_odd_way_is_there_and_is_not_shown(odd: str) -> None:
    assert rows(page(BASE, odd.encode(), View())) == []
    (held,) = files(BASE, odd.encode())
    assert held.name == WHEEL


def test_what_is_withheld_is_left_out_however_it_is_spelled() -> None:
    body = (link("Acme.Lib-1.0.0-py3-none-any.whl") + link(SDIST)).encode()
    shown = page(BASE, body, View(withheld={"acme_lib-1-py3-none-any.whl": SHA}))
    assert [SDIST.encode() in row for row in rows(shown)] == [True]
    assert len(files(BASE, body)) == 2  # the gateway itself sees it


def test_where_reads_are_verified_only_what_was_accepted_stands_there_with_its_digest() -> None:
    body = link(WHEEL, href=f"/base/packages/{WHEEL}#md5={'0' * 32}", more=" data-core-metadata=true") + link(SDIST)
    shown = page(BASE, body.encode(), View(accepted={"acme_lib-1-py3-none-any.whl": SHA}))
    assert rows(shown) == [f'<a href="../../packages/{WHEEL}#sha256={SHA}">{WHEEL}</a><br>'.encode()]


def test_the_index_lists_projects_by_their_normal_name() -> None:
    body = b'<a href="Acme_Lib/">Acme_Lib</a><a href="http://evil/x/">x</a><a href="http://[">y</a><a href="z/">-z</a>'
    assert rows(index(ROOT, body, View())) == [b'<a href="acme-lib/">acme-lib</a><br>']
    assert rows(index(ROOT, body, View(accepted={}))) == []
    assert len(rows(index(ROOT, body, View(accepted={"acme_lib-1.tar.gz": SHA})))) == 1


def test_the_index_of_many_projects_looks_at_each_accepted_file_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.model import names  # noqa: PLC0415 - patched here only

    asked: list[str] = []
    plain = names.canonical_package

    def counted(file: str) -> str:
        asked.append(file)
        return plain(file)

    monkeypatch.setattr(names, "canonical_package", counted)
    accepted = {f"p{n}-1.tar.gz": SHA for n in range(50)}
    body = "".join(f'<a href="p{n}/">p{n}</a>' for n in range(100)).encode()
    assert len(rows(index(ROOT, body, View(accepted=accepted)))) == 50
    assert len(asked) == 50


@pytest.mark.parametrize("name", ["simple", "packages", "acme-lib"])
def test_a_project_may_have_any_name(name: str) -> None:
    body = link(f"{name.replace('-', '_')}-1.0.tar.gz").encode()
    assert len(files(f"{ROOT}{name}/", body)) == 1


def test_a_page_that_is_not_utf8_is_malformed() -> None:
    with pytest.raises(Malformed):
        files(BASE, b"\xff")
    for shown in (page, index):
        with pytest.raises(Malformed):
            shown(BASE, b"\xff", View())


AWAY = ["javascript:alert(1)", "//evil/", "http://[", "http://registry:8080@evil/", "data:,", "\\\\evil\\"]
HREFS = st.one_of(
    st.text(max_size=30),
    st.text("/.%2eE\\:?#&;@ab\t\n\r ", max_size=20).map(lambda s: f"/base/packages/{s}/{WHEEL}"),
    st.sampled_from(AWAY).map(lambda s: f"{s}/base/packages/{WHEEL}"),
)
TEXTS = st.one_of(st.just(WHEEL), st.text(max_size=20))
BODIES = st.lists(
    st.one_of(
        st.tuples(HREFS, TEXTS).map(lambda pair: link(WHEEL, href=pair[0], text=pair[1])),
        st.text("<>\"'=a/!-script ", max_size=20),
    ),
    max_size=5,
).map("".join)


@given(BODIES)
def test_whatever_a_page_holds_a_reader_gets_links_below_the_mount_and_nothing_else(body: str) -> None:
    for row in rows(page(BASE, body.encode("utf-8", "replace"), View())):
        found = SHOWN.fullmatch(row)
        assert found is not None, row
        where = urljoin("/pypi/simple/acme-lib/", unquote(unescape(found[1].decode())))
        assert where.startswith("/pypi/packages/")


@given(BODIES)
def test_whatever_is_shown_stands_in_the_way_of_another_file_of_its_name(body: str) -> None:
    data = body.encode("utf-8", "replace")
    there = {held.path for held in files(BASE, data)}
    for row in rows(page(BASE, data, View())):
        found = SHOWN.fullmatch(row)
        assert found is not None
        assert unescape(found[1].decode()).removeprefix("../..").partition("#")[0] in there
