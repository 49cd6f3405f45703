"""Any bytes are a value or `Malformed` to every reader, and what is accepted is what a reference reader sees."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
import zipfile

from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gateway.ecosystems.pypi_distribution import read_distribution, read_metadata
from gateway.errors import ConfigurationError, Malformed
from gateway.model import names
from gateway.strict import base64 as strict_base64
from gateway.strict import json as strict_json
from gateway.strict import yaml as strict_yaml
from gateway.strict.archive import read_tar_gz, read_zip
from tests.lab.archives import Entry, member, sdist, tar_gz, wheel, zip_of

Json = strict_json.Json
_documents: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\u00e9", max_size=3), inner, max_size=4),
    max_leaves=10,
)


@given(_documents, st.booleans())
def test_json_reads_back_what_was_written(document: Json, ascii_only: bool) -> None:  # noqa: FBT001
    text = json.dumps(document, ensure_ascii=ascii_only)
    assert strict_json.parse(text.encode(), "x", limit=100_000) == document


@given(st.binary(max_size=60) | st.text('{}[]",:0123456789.eE+-\\u aNnfity', max_size=40).map(str.encode))
def test_json_that_is_accepted_is_json(data: bytes) -> None:
    try:
        value = strict_json.parse(data, "x", limit=1000)
    except Malformed:
        return
    assert json.loads(data.decode()) == value


@given(st.binary(max_size=200))
def test_base64_reads_back_what_was_written(data: bytes) -> None:
    assert strict_base64.decode(base64.b64encode(data).decode(), "x", len(data)) == data


@given(st.text("QUJD+/=-_ \n", max_size=12) | st.text(max_size=12))
def test_base64_has_one_text_for_any_bytes(text: str) -> None:
    try:
        data = strict_base64.decode(text, "x", 100)
    except Malformed:
        return
    assert base64.b64encode(data).decode() == text


class Anything(BaseModel):
    a: list[dict[str, str | int | bool | None]] = []


_yaml_pieces = st.lists(
    st.sampled_from(["a", ":", " ", "\n", "- ", "[", "]", "{", "}", "&x", "*x", "!", "<<", "'", '"', "|", ">", "no",
                     "1", "#", "---", "%", "?", ",", "\t", "é", "\x00", "~", "  "]), max_size=25
).map("".join)  # fmt: skip


@given(_yaml_pieces | st.text(max_size=40))
def test_yaml_is_a_value_or_one_configuration_error(text: str) -> None:
    problems: tuple[str, ...] = ()
    try:
        assert strict_yaml.load(Anything, text, "f").position(("a",))
    except ConfigurationError as error:
        problems = error.problems or ("none",)
    assert all(problem.startswith("f:") for problem in problems)


_names = st.lists(
    st.sampled_from(
        ["a", "B", "-", ".", "_", "1", "0", "!", "+", "py3", "none", "any", ".whl", ".tar.gz", ".zip", "\n", "é"]
    ),
    max_size=14,
).map("".join)


@given(_names)
def test_a_canonical_name_is_its_own(text: str) -> None:
    try:
        canonical = names.canonical_file("pypi", text)
    except Malformed:
        return
    assert names.canonical_file("pypi", canonical) == canonical
    assert canonical.isascii()
    assert canonical == canonical.lower()


def _spoiled(good: bytes, at: int, new: bytes, cut: int) -> bytes:
    place = at % len(good)
    changed = good[:place] + new + good[place + len(new) :]
    return changed[: len(changed) - cut % 8] if cut % 3 == 0 else changed


_GOOD_ZIP = zip_of([Entry(b"a/x", b"one" * 20), Entry(b"a/y", b"two", method=0)], comment=b"c")
_GOOD_TAR = tar_gz([member("r/PKG-INFO", b"x"), member("r/l", kind=tarfile.SYMTYPE, link="PKG-INFO")])
_PLAIN_TAR = gzip.decompress(_GOOD_TAR)
_SPOILS = (st.integers(0, 10_000), st.binary(min_size=1, max_size=4), st.integers(0, 30))


@given(*_SPOILS)
def test_a_spoiled_zip_is_refused_or_what_zipfile_sees(at: int, new: bytes, cut: int) -> None:
    data = _spoiled(_GOOD_ZIP, at, new, cut)
    try:
        index = read_zip(io.BytesIO(data), "x")
        ours = {name: index.read(name, 1000) for name in index.files}
    except Malformed:
        return
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == ours


@given(*_SPOILS)
def test_a_spoiled_tar_is_refused_or_what_tarfile_sees(at: int, new: bytes, cut: int) -> None:
    data = gzip.compress(_spoiled(_PLAIN_TAR, at, new, cut))
    try:
        index = read_tar_gz(io.BytesIO(data), "x", keep=lambda path: path.endswith("INFO"), limit=100)
    except Malformed:
        return
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert {one.name.removeprefix("./") for one in archive.getmembers() if not one.isdir()} == index.files
        for name, kept in index.kept.items():
            held = archive.extractfile(name)
            assert held is not None
            assert held.read() == kept


@given(st.binary(max_size=100), *_SPOILS)
def test_any_distribution_is_read_or_refused(junk: bytes, at: int, new: bytes, cut: int) -> None:
    for data in (junk, _spoiled(wheel(), at, new, cut), _spoiled(sdist(), at, new, cut)):
        for name in ("acme_lib-1.0-py3-none-any.whl", "acme_lib-1.0.tar.gz", "acme_lib-1.0.zip"):
            try:
                read = read_distribution(io.BytesIO(data), name)
            except Malformed:
                continue
            assert names.pypi_name(read.name)


@given(
    st.lists(st.sampled_from([b"Name: a", b"Version: 1", b"\n", b"\r", b" ", b"x", b":", b"\x0b", b"\xff"])).map(
        b"".join
    )
)
def test_any_metadata_is_read_or_refused(head: bytes) -> None:
    try:
        name, version = read_metadata(head, "x")
    except Malformed:
        return
    assert names.pypi_name(name)
    assert names.pypi_version(version)
