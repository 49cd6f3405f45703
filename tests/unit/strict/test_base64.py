"""Strict base64: one text for any bytes."""

from __future__ import annotations

import pytest

from gateway.errors import Malformed, TooLarge
from gateway.strict.base64 import decode


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
