"""The form reader's near misses: a good form with one thing spoiled."""

from __future__ import annotations

import pytest

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.strict.multipart import End, Event, PartBegin, PartData, PartEnd, Reader, boundary, encode

TYPE = "multipart/form-data; boundary=abc"
GOOD = (
    b"--abc\r\n"
    b'Content-Disposition: form-data; name=":action"\r\n\r\n'
    b"file_upload\r\n"
    b"--abc\r\n"
    b'Content-Disposition: form-data; name="content"; filename="a-1.0.whl"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
    b"PK\r\n--ab\r\n-\r\n"
    b"--abc--\r\n"
)


def read(body: bytes, content_type: str = TYPE) -> list[Event]:
    reader = Reader(content_type)
    events = reader.feed(body)
    reader.close()
    return events


def test_a_form_is_its_parts() -> None:
    assert read(GOOD) == [
        PartBegin(":action", None, None),
        PartData(b"file_upload"),
        PartEnd(),
        PartBegin("content", "a-1.0.whl", "application/octet-stream"),
        PartData(b"PK\r\n--ab\r\n-"),
        PartEnd(),
        End(),
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"--abc--\r\n", b"--abc--"),
        (b"form-data; name=", b"Form-Data ;  NAME="),
        (b'name=":action"', b"name=action"),
        (b"Content-Type: application/octet-stream\r\n", b"content-type:text/plain; charset=utf-8\r\n"),
        (b"Content-Type: application/octet-stream\r\n", b"Content-Transfer-Encoding: Binary\r\n"),
        (b"Content-Type: application/octet-stream\r\n", b""),
        (b'"a-1.0.whl"', '"a-é.whl"'.encode()),
        (b'"a-1.0.whl"', b'""'),
        (b"file_upload", b""),
        (b"file_upload", b"\n--abc\n\r\r\n--abd\r\n"),
    ],
)
def test_harmless_spellings_are_read(old: bytes, new: bytes) -> None:
    assert GOOD.count(old) == 1 or old.startswith(b"form-data")
    assert read(GOOD.replace(old, new, 1))[-1] == End()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"--abc\r\n", b"\r\n--abc\r\n", "does not begin"),
        (b"--abc\r\n", b"preamble\r\n--abc\r\n", "does not begin"),
        (b"--abc\r\n", b"--ABC\r\n", "does not begin"),
        (b"--abc\r\n", b"--abc\n", "a delimiter that neither"),
        (b"--abc\r\n", b"--abc \r\n", "a delimiter that neither"),
        (b"--abc--\r\n", b"--abc--\r\n\r\n", "bytes after"),
        (b"--abc--\r\n", b"--abc--\n", "bytes after"),
        (b"--abc--\r\n", b"--abc--x", "bytes after"),
        (b"--abc--\r\n", b"--abc--\r\n--abc\r\n", "bytes after"),
        (b"--abc--\r\n", b"--abc-\r\n", "a delimiter that neither"),
        (b"--abc--\r\n", b"--abcd--\r\n", "a delimiter that neither"),
        (b"--abc--\r\n", b"--abc", "ends before"),
        (b"\r\n--abc--\r\n", b"", "ends before"),
        (b"file_upload", b"x\r\n--abcdef", "a delimiter that neither"),
        (b"file_upload", b"x\r\n--abc \r\n", "a delimiter that neither"),
        (b"Content-Type:", b'Content-Disposition: form-data; name="x"\r\nContent-Type:', "given twice"),
        (b"Content-Type:", b"content-type: text/html\r\nContent-Type:", "given twice"),
        (b"Content-Type:", b"Content-Transfer-Encoding: base64\r\nContent-Type:", "transfer encoding"),
        (b"Content-Type:", b"Content-Transfer-Encoding: quoted-printable\r\nContent-Type:", "transfer encoding"),
        (b"Content-Type:", b"Content-Length: 3\r\nContent-Type:", "unknown part header"),
        (b"Content-Type:", b"X-Y: z\r\nContent-Type:", "unknown part header"),
        (b"Content-Type:", b"Content-Type :", "not `Name: value`"),
        (b"Content-Type:", b" Content-Type:", "not `Name: value`"),
        (b"Content-Type: app", b"Content-Type:\r\n app", "not `Name: value`"),
        (b"Content-Type: app", b"Content-Type:\n app", "not `Name: value`"),
        (b"Content-Type: app", b"Content-Type: a\x00pp", "not `Name: value`"),
        (b"Content-Type: application/octet-stream", b"no colon", "not `Name: value`"),
        (b"Content-Type: application/octet-stream", b"Content-Type: Multipart/mixed; boundary=x", "a form inside"),
        (b'; filename="a-1.0.whl"', b'; filename="a"; filename="b"', "given twice"),
        (b'; filename="a-1.0.whl"', b'; filename="a"; FileName="b"', "given twice"),
        (b'; filename="a-1.0.whl"', b"; filename*=UTF-8''b", "unknown Content-Disposition parameter"),
        (b'; filename="a-1.0.whl"', b"; filename=\"a\"; filename*=UTF-8''b", "unknown Content-Disposition parameter"),
        (b'; filename="a-1.0.whl"', b'; filename="a\\"b"', "cannot be read in one way"),
        (b'; filename="a-1.0.whl"', b'; filename="a"b"', "cannot be read in one way"),
        (b'; filename="a-1.0.whl"', b'; filename="a', "cannot be read in one way"),
        (b'; filename="a-1.0.whl"', b"; filename=a b", "cannot be read in one way"),
        (b'; filename="a-1.0.whl"', b'; filename="a";', "cannot be read in one way"),
        (b'; filename="a-1.0.whl"', b'; filename = "a"', "cannot be read in one way"),
        (b'; filename="a-1.0.whl"', b'; filename="\xff"', "not UTF-8"),
        (b'name="content"', b'name="content"; name=":action"', "given twice"),
        (b'name="content"; ', b"", "without a name"),
        (b'form-data; name="content"', b'attachment; name="content"', "other than form-data"),
        (b'form-data; name="content"', b'form-data name="content"', "other than form-data"),
        (b'Content-Disposition: form-data; name=":action"\r\n\r\n', b"\r\n", "not `Name: value`"),
        (
            b'Content-Disposition: form-data; name=":action"\r\n\r\n',
            b"Content-Type: a/b\r\n\r\n",
            "without Content-Disp",
        ),
    ],
)
def test_one_spoiled_thing_is_refused(old: bytes, new: bytes, problem: str) -> None:
    assert old in GOOD
    with pytest.raises(Malformed) as refused:
        read(GOOD.replace(old, new, 1))
    assert problem in refused.value.problem


def test_a_form_without_parts_is_refused() -> None:
    for body in (b"", b"--abc--", b"--abc--\r\n"):
        with pytest.raises(Malformed):
            read(body)


def test_the_heads_and_the_number_of_parts_are_bounded() -> None:
    padding = b"x" * limits.PART_HEADERS
    with pytest.raises(TooLarge):
        read(GOOD.replace(b"application/octet-stream", padding))
    with pytest.raises(TooLarge):
        Reader(TYPE).feed(b"--abc\r\n" + padding + b"xxxx")
    part = b'--abc\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    assert len(read(part * limits.FORM_FIELDS + b"--abc--")) == 2 * limits.FORM_FIELDS + 1
    with pytest.raises(TooLarge):
        read(part * (limits.FORM_FIELDS + 1) + b"--abc--")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("multipart/form-data; boundary=abc", "abc"),
        ('Multipart/Form-Data;boundary="a:b?c"', "a:b?c"),
        ("multipart/form-data ; BOUNDARY=----WebKit'1", "----WebKit'1"),
        ("multipart/form-data; boundary=" + "a" * 70, "a" * 70),
    ],
)
def test_a_boundary_is_read(header: str, value: str) -> None:
    assert boundary(header) == value


@pytest.mark.parametrize(
    "header",
    [
        "",
        "multipart/form-data",
        "multipart/form-data;",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/mixed; boundary=a",
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a;",
        "multipart/form-data; charset=utf-8; boundary=a",
        "multipart/form-data; boundary=a; charset=utf-8",
        "multipart/form-data; boundary=" + "a" * 71,
        "multipart/form-data; boundary=a b",
        'multipart/form-data; boundary="a b"',
        'multipart/form-data; boundary="a',
        'multipart/form-data; boundary="a\\"b"',
        "multipart/form-data; boundary=a\r\n",
        "multipart/form-data; boundary=\u00e9",
        "mult\u0131part/form-data; boundary=a",
        "multipart/form-data, boundary=a",
        "multipart/form-data; boundary*=utf-8''a",
        "multipart/form-data; boundary = a",
    ],
)
def test_an_unclear_content_type_is_refused(header: str) -> None:
    with pytest.raises(Malformed):
        boundary(header)


@pytest.mark.parametrize("name", ["", 'a"b', "a\\b", "a\r\nb", "a\nb", "a\x00"])
def test_a_name_that_does_not_fit_between_quotes_is_not_written(name: str) -> None:
    for fields, part, file_name in (([(name, "v")], "p", "f"), ([], name, "f"), ([], "p", name)):
        with pytest.raises(Malformed):
            encode(fields, part, file_name, 0, randomness=bytes(16))


def test_a_boundary_takes_sixteen_random_bytes() -> None:
    one, other = (encode([], "p", "f", 7, randomness=bytes([n]) * 16) for n in (1, 2))
    assert one.content_type == "multipart/form-data; boundary=provgate-01010101010101010101010101010101"
    assert one.content_type != other.content_type
    assert one.length == len(one.head) + 7 + len(one.tail)
    with pytest.raises(ValueError, match="16 random bytes"):
        encode([], "p", "f", 0, randomness=b"")
