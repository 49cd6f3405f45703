"""The upload form, piece by piece: bounds, what may come twice, and that the cutting of the body never matters."""

from __future__ import annotations

import hashlib
import io
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import limits
from gateway.ecosystems.pypi_form import FORWARDED, FormReceiver
from gateway.errors import Malformed, TooLarge
from tests.lab.raw import BOUNDARY, form, part

TYPE = f"multipart/form-data; boundary={BOUNDARY}"
DATA = b"the file\r\n--lab\r\n" * 20
FIELDS = [part("name", "acme"), part("md5_digest", "0" * 32)]
GOOD = form([*FIELDS, part("content", DATA, filename="a.whl"), part("v", "1")])


def receive(body: bytes, *cuts: int, limit: int = 1 << 20) -> FormReceiver:
    receiver = FormReceiver(TYPE, io.BytesIO(), limit)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        receiver.feed(body[start:end])
    receiver.finish()
    return receiver


@given(st.lists(st.integers(0, len(GOOD)), max_size=8))
def test_how_a_body_is_cut_never_matters(cuts: list[int]) -> None:
    got = receive(GOOD, *cuts)
    assert got.fields.pairs == [("name", "acme"), ("md5_digest", "0" * 32), ("v", "1")]
    assert (got.file_name, got.size) == ("a.whl", len(DATA))
    assert isinstance(got.spool, io.BytesIO)
    assert got.spool.getvalue() == DATA
    assert dict(got.digests())["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert dict(got.digests())["md5"] == hashlib.md5(DATA, usedforsecurity=False).hexdigest()


@given(st.integers(0, len(GOOD) - 3))
def test_a_body_that_ends_early_is_malformed(length: int) -> None:
    with pytest.raises(Malformed):
        receive(GOOD[:length])


@given(st.binary(max_size=200))
def test_bytes_that_are_no_form_are_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        receive(body)


def test_a_classifier_may_come_often_and_a_name_once() -> None:
    content = part("content", DATA, filename="a.whl")
    many = receive(form([part("classifiers", "a"), part("classifiers", "b"), content]))
    assert many.fields.pairs == [("classifiers", "a"), ("classifiers", "b")]
    with pytest.raises(Malformed, match="form field name: it came twice"):
        receive(form([part("name", "a"), part("name", "a"), content]))


@pytest.mark.parametrize("name", ["attestations", "gpg_signature", "unknown", "content"])
def test_what_the_registry_must_not_see_is_not_forwarded(name: str) -> None:
    assert name not in FORWARDED


def test_a_file_may_be_as_large_as_the_limit_and_no_larger() -> None:
    assert receive(GOOD, limit=len(DATA)).size == len(DATA)
    with pytest.raises(TooLarge):
        receive(GOOD, limit=len(DATA) - 1)


def test_fields_are_bounded_each_and_together_and_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    content = part("content", DATA, filename="a.whl")
    monkeypatch.setattr(limits, "FORM_FIELD", 10)
    receive(form([part("a", "x" * 10), content]))
    with pytest.raises(TooLarge):
        receive(form([part("a", "x" * 11), content]))
    monkeypatch.setattr(limits, "FORM_TOTAL", 15)
    with pytest.raises(TooLarge):
        receive(form([part("a", "x" * 10), part("b", "x" * 6), content]))
    monkeypatch.setattr(limits, "FORM_FIELDS", 3)
    with pytest.raises(TooLarge):
        receive(form([part("a", "x"), part("b", "x"), part("c", "x"), content]))


def test_a_signature_beside_the_file_is_read_and_dropped() -> None:
    got = receive(form([part("gpg_signature", "s", filename="a.asc"), part("content", DATA, filename="a.whl")]))
    assert got.size == len(DATA)
