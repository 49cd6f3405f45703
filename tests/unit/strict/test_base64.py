"""Strict base64: one text for any bytes."""

from __future__ import annotations

from base64 import b64encode

import pytest

from gateway.errors import Malformed, TooLarge
from gateway.strict.base64 import Decoder, decode


@pytest.mark.parametrize(
    ("text", "data"), [("", b""), ("QQ==", b"A"), ("QUI=", b"AB"), ("QUJD", b"ABC"), ("+/+/", b"\xfb\xff\xbf")]
)
def test_canonical_text_is_decoded(text: str, data: bytes) -> None:
    assert decode(text, "field", len(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "QUJD=QUJD", "-_-_", "QQ", "QQ=", "QQ===", "=QUJ", "=", "====", "QUJD====", "QUJD\n", "QU\nJD", " QUJD",
        "QUJD ", "QR==", "QUJ=", "QQ==QQ==", "QUJDQ", "\uff21UJD", "QUJD\x00", "QUJ\u0044\u0301", "Q",
    ],
)  # fmt: skip
def test_a_second_spelling_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        decode(text, "field", 100)
    assert not isinstance(refused.value, TooLarge)


@pytest.mark.parametrize(("text", "limit"), [("QUJD", 2), ("QQ==", 0), ("A" * 4000, 2999)])
def test_more_bytes_than_the_limit_are_too_large(text: str, limit: int) -> None:
    with pytest.raises(TooLarge):
        decode(text, "field", limit)
    assert decode(text, "field", limit + 1)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 100])
def test_in_pieces_the_same_bytes_come_out(size: int, step: int) -> None:
    data = bytes(range(size))
    text = b64encode(data)
    decoder = Decoder("field")
    found = b"".join(decoder.feed(text[at : at + step]) for at in range(0, len(text), step))
    decoder.finish()
    assert found == data


@pytest.mark.parametrize("step", [1, 4, 100])
@pytest.mark.parametrize(
    "text", ["QUJD=QUJD", "QQ==QQ==", "QR==", "QUJ=", "QQ", "QUJDQ", "-_-_", "QUJD\n", "QUJDQUJDQR==", "QQ==QUJD"]
)
def test_in_pieces_a_second_spelling_is_refused_too(text: str, step: int) -> None:
    decoder = Decoder("field")

    def taken() -> None:
        for at in range(0, len(text), step):
            decoder.feed(text[at : at + step].encode())
        decoder.finish()

    with pytest.raises(Malformed):
        taken()
