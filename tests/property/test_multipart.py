"""The form reader: how a body is cut never matters, what the writer writes is read back, junk is refused or read."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.strict.multipart import End, PartBegin, PartData, PartEnd, Reader, encode

_TYPE = "multipart/form-data; boundary=x"
_PART = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
_PIECES = [
    b"--x",
    b"\r\n",
    b"\r",
    b"\n",
    b"--",
    b"-",
    b"x",
    b" ",
    _PART,
    b"\r\n--x\r\n",
    b"\r\n--x--",
    b"\r\n--x--\r\n",
    b'Content-Disposition: form-data; name="b"; filename="f"\r\n',
    b"Content-Type: text/plain\r\n",
    b"data",
]


def outcome(chunks: list[bytes]) -> list[object]:
    """What a body came to: its parts with their data joined, or the refusal."""
    reader = Reader(_TYPE)
    seen: list[object] = []
    try:
        for chunk in chunks:
            for event in reader.feed(chunk):
                if isinstance(event, PartData) and seen and isinstance(seen[-1], bytes):
                    seen[-1] += event.data
                else:
                    seen.append(event.data if isinstance(event, PartData) else event)
        reader.close()
    except Malformed as error:
        return [str(error)]
    return seen


def cut(body: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[start:end] for start, end in pairwise(edges)]


_bodies = st.one_of(
    st.lists(st.sampled_from(_PIECES), max_size=12).map(b"".join),
    st.lists(st.sampled_from(_PIECES), max_size=6).map(lambda middle: _PART + b"".join(middle) + b"\r\n--x--\r\n"),
)


@given(_bodies, st.lists(st.integers(0, 10_000), max_size=8))
@example(_PART + b"\r\n--\r\r\n--x--", [60, 61, 62, 63])
def test_every_cutting_of_a_body_reads_alike(body: bytes, places: list[int]) -> None:
    whole = outcome([body])
    assert outcome(cut(body, places)) == whole
    assert outcome([body[i : i + 1] for i in range(len(body))]) == whole


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    assert outcome([body])


_names = st.text(st.characters(exclude_characters='"\\', exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(
    st.lists(st.tuples(_names, st.text(st.characters(exclude_categories=["Cs"]), max_size=50)), max_size=5),
    _names,
    _names,
    st.binary(max_size=200),
)
def test_what_is_written_is_read_back(fields: list[tuple[str, str]], part: str, file_name: str, data: bytes) -> None:
    form = encode(fields, part, file_name, len(data), randomness=bytes(16))
    body = form.head + data + form.tail
    assert len(body) == form.length
    reader = Reader(form.content_type)
    events = reader.feed(body)
    reader.close()
    expected: list[object] = []
    for name, value in fields:
        expected += [PartBegin(name, None, None), *([PartData(value.encode())] if value else []), PartEnd()]
    expected.append(PartBegin(part, file_name, "application/octet-stream"))
    assert events == [*expected, *([PartData(data)] if data else []), PartEnd(), End()]
