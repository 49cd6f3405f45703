"""Strict JSON: what two readers could read differently is refused."""

from __future__ import annotations

import pytest

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.strict.json import Json, expect, field, items, only, optional, parse, parse_object

LIMIT = 10_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (' {"a": [1, -2.5, true, null, "\\u00e9"]}\r\n', {"a": [1, -2.5, True, None, "é"]}),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\\\ud800"', "\\ud800"),
        ("1" * limits.JSON_NUMBER_DIGITS, int("1" * limits.JSON_NUMBER_DIGITS)),
        ("[" * limits.JSON_DEPTH + "]" * limits.JSON_DEPTH, None),
        ('"' + "[" * 200 + '\\"' + "{" * 200 + '"', "[" * 200 + '"' + "{" * 200),
        ("[" + "[]," * 200 + "[]]", [[]] * 201),
    ],
)
def test_a_document_is_read(text: str, value: Json) -> None:
    read = parse(text.encode(), "document", limit=LIMIT)
    assert read == parse(text, "document", limit=LIMIT)
    assert value is None or read == value


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a":1,"a":1}', "'a' is given twice"),
        (b'{"a":1,"\\u0061":2}', "'a' is given twice"),
        (b'{"x":{"a":1,"b":0,"a":2}}', "'a' is given twice"),
        (b"NaN", "NaN is not JSON"),
        (b"[Infinity]", "Infinity is not JSON"),
        (b"-Infinity", "-Infinity is not JSON"),
        (b"1e999", "not finite"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'["\\ud83d","\\ude00"]', "surrogate"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xff"', "not UTF-8"),
        ('"a"'.encode("utf-16"), "not UTF-8"),
        ('{"a":1}'.encode("utf-16-le"), "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"{}{}", "not JSON"),
        (b"{} x", "not JSON"),
        (b"{}\x00", "not JSON"),
        (b"", "not JSON"),
        (b"'a'", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"01", "not JSON"),
        (b"+1", "not JSON"),
        (b'"a\nb"', "not JSON"),
        (b"\xc2\xa01", "not JSON"),
        ("\u0661".encode(), "not JSON"),
        (b'{"a":1/**/}', "not JSON"),
    ],
)
def test_what_readers_differ_on_is_refused(data: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match="document") as refused:
        parse(data, "document", limit=LIMIT)
    assert problem in refused.value.problem
    assert not isinstance(refused.value, TooLarge)


@pytest.mark.parametrize(
    "text",
    [
        "[" * (limits.JSON_DEPTH + 1) + "]" * (limits.JSON_DEPTH + 1),
        '{"a":' * 5000,
        "1" * (limits.JSON_NUMBER_DIGITS + 1),
        "0." + "1" * limits.JSON_NUMBER_DIGITS,
        " " * LIMIT + "1",
        '"' + "é" * (LIMIT // 2) + '"',
    ],
)
def test_a_document_past_a_bound_is_too_large(text: str) -> None:
    for data in (text, text.encode()):
        with pytest.raises(TooLarge):
            parse(data, "document", limit=LIMIT)


@pytest.mark.parametrize("value", ["{}", "[]", '""', "1"])
def test_a_document_of_too_many_values_is_too_large(value: str) -> None:
    most = limits.JSON_TOKENS
    assert parse(_many(value, most // 2), "document", limit=limits.MIB)
    with pytest.raises(TooLarge, match=f"{most} values"):
        parse(_many(value, most + 1), "document", limit=limits.MIB)


def test_a_longer_document_may_hold_more_values() -> None:
    assert parse(_many("1", limits.JSON_TOKENS + 1), "document", limit=2 * limits.MIB)


def _many(value: str, count: int) -> str:
    return f"[{','.join([value] * count)}]"


def test_a_lone_surrogate_in_text_is_refused() -> None:
    with pytest.raises(Malformed, match="not UTF-8"):
        parse('"\ud800"', "document", limit=LIMIT)


def test_fields_come_out_with_their_types() -> None:
    doc = parse_object('{"s":"x","i":1,"b":true,"o":{},"l":["y"],"n":null}', "doc", limit=LIMIT)
    assert field(doc, "s", str, "doc") == "x"
    assert field(doc, "i", int, "doc") == 1
    assert field(doc, "b", bool, "doc") is True
    assert field(doc, "o", dict, "doc") == {}
    assert items(doc, "l", str, "doc", most=1) == ["y"]
    assert optional(doc, "n", str, "doc") is None
    assert optional(doc, "absent", str, "doc") is None
    assert expect(doc["s"], str, "doc.s") == "x"
    only(doc, frozenset("sibonl"), "doc")


def test_a_field_of_another_kind_is_refused_by_its_name() -> None:
    doc: dict[str, Json] = {"s": "x", "b": True, "i": 1, "f": 1.0, "l": ["y", 1], "n": None}
    for key, kind in (("s", int), ("b", int), ("i", bool), ("f", int), ("n", str), ("absent", str), ("l", dict)):
        with pytest.raises(Malformed) as refused:
            field(doc, key, kind, "doc")  # type: ignore[type-var]
        assert refused.value.about == f"doc.{key}"
    with pytest.raises(Malformed, match=r"doc\.i: expected a string, got an integer"):
        optional(doc, "i", str, "doc")
    with pytest.raises(Malformed, match=r"doc\.l\[1\]: expected a string, got an integer"):
        items(doc, "l", str, "doc", most=2)
    with pytest.raises(TooLarge, match=r"doc\.l"):
        items(doc, "l", str, "doc", most=1)
    with pytest.raises(Malformed, match="unknown key 'l'"):
        only(doc, frozenset("sbifn"), "doc")
    with pytest.raises(Malformed, match="expected an object, got an array"):
        parse_object("[]", "doc", limit=LIMIT)
