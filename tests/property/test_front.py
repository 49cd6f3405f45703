"""Whatever a client sends is answered in time with a code of the catalogue, and nothing of it reaches the registry."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import limits
from gateway.config import ReadAuth
from gateway.reasons import Code
from tests.lab.gate import GOOD, LabGate, lab_gate
from tests.lab.raw import BOUNDARY, answer, connect, form, part

CODES = {code.value.encode() for code in Code}
SEEN_UPSTREAM = {
    "Host", "User-Agent", "Accept", "Accept-Encoding", "Authorization",
    "range", "if-range", "if-none-match", "if-modified-since",
}  # fmt: skip


@dataclass
class Front:
    """A gate on a loop of its own, which turns only while a test asks something of it."""

    runner: asyncio.Runner
    gate: LabGate
    faults: list[object] = field(default_factory=list)

    def run(self, made: Coroutine[Any, Any, tuple[int, bytes]]) -> tuple[int, bytes]:
        return self.runner.run(made)

    def ask(self, sent: bytes) -> tuple[int, bytes]:
        """Send bytes on a connection of their own and take the first whole answer."""
        self.gate.registry.requests.clear()
        return self.run(_asked(self.gate.base, sent))

    def sees_no_fault(self) -> None:
        assert not self.faults
        for method, path, headers in self.gate.registry.requests:
            assert method in {"GET", "HEAD"}
            assert path.startswith(("/simple/", "/packages/"))
            assert set(headers) <= SEEN_UPSTREAM


async def _asked(base: str, sent: bytes) -> tuple[int, bytes]:
    reader, writer = await connect(base)
    try:
        writer.write(sent)
        async with asyncio.timeout(5):
            while True:
                status, got = await answer(reader, has_body=not sent.startswith(b"HEAD"))
                if status != 100:
                    return status, got
    finally:
        writer.transport.abort()


class _Faults(logging.Handler):
    def __init__(self, kept: list[object]) -> None:
        super().__init__(logging.ERROR)
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record.getMessage())


@pytest.fixture(scope="module", params=list(ReadAuth))
def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setattr(limits, "BODY_IDLE_SECONDS", 0.02)
        patch.setattr(limits, "DRAIN_SECONDS", 0.02)
        stack = AsyncExitStack()
        gate = runner.run(stack.enter_async_context(lab_gate(tmp_path_factory.mktemp("gate"), read_auth=request.param)))
        made = Front(runner, gate)
        runner.get_loop().set_exception_handler(lambda _, context: made.faults.append(context))
        handler = _Faults(made.faults)
        logging.getLogger().addHandler(handler)
        try:
            yield made
        finally:
            logging.getLogger().removeHandler(handler)
            runner.run(stack.aclose())


quick = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = [
    b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Expect", b"Upgrade", b"Authorization", b"Range",
    b"If-None-Match", b"If-Range", b"Content-Type", b"Content-Encoding", b"TE", b"Trailer", b"Accept", b"Cookie",
]  # fmt: skip
VALUES = [
    b"", b"0", b"5", b"-1", b"18446744073709551615", b"chunked", b"gzip", b"close", b"keep-alive", b"upgrade",
    b"100-continue", b"websocket", b"h2c", b"Basic Og==", b"Basic !", b"Bearer pvg_", b"bytes=0-", b"bytes=9-1", b"*",
    b"multipart/form-data", b"multipart/form-data; boundary=lab-boundary", b"a\r\n b", b"\x00", b"\xff", b"text/html",
]  # fmt: skip
TARGETS = [
    b"/pypi/", b"/pypi/simple/", b"/pypi/simple/acme/", b"/pypi/legacy/", b"/-/healthz", b"/-/evidence", b"/-/reasons/",
    b"/pypi/packages/acme_good-1.0.0-py3-none-any.whl", b"/-/d/aaaaaaaaaaaaaaaaaaaaaa", b"*", b"http://a/pypi/simple/",
    b"/-/evidence?digest=sha256:" + b"0" * 64, b"/-/evidence?" + b"digest=a&" * 20,
]  # fmt: skip
METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"CONNECT", b"TRACE", b"PATCH"]
lines = st.tuples(st.sampled_from(NAMES) | st.binary(max_size=12), st.sampled_from(VALUES) | st.binary(max_size=40))
TRICKS = [
    b"/", b"..", b"%2e", b"%2f", b"%", b"\\", b";", b"?", b"#", b"//", b"\x01", b"\xc3\xa9", b"@", b":", b"pypi",
    b"simple", b"packages", b"acme-1.tar.gz",
]  # fmt: skip
pieces = st.lists(st.sampled_from(TRICKS), max_size=8)
targets = st.sampled_from(TARGETS) | pieces.map(lambda found: b"/pypi/" + b"".join(found)) | pieces.map(b"".join)


def told(status: int, got: bytes, *, reads: bool) -> None:
    """Hold an answer against what every answer must be."""
    assert 400 <= status < 500 or (reads and status in {200, 301}), got[:300]
    line = got.split(b"\r\n", 1)[0]
    assert re.fullmatch(rb"HTTP/\d\.\d \d{3} [ -~]*", line)
    if status >= 400:
        assert line.split(b" ", 2)[2].partition(b":")[0] in CODES
        assert b"Traceback" not in got


@quick
@given(
    method=st.sampled_from(METHODS), target=targets, headers=st.lists(lines, max_size=6), body=st.binary(max_size=60)
)
def test_any_headers_and_any_body_are_answered_with_a_code(
    front: Front, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    head = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    token = f"Authorization: Bearer {front.gate.token}\r\n".encode()
    sent = method + b" " + target + b" HTTP/1.1\r\nHost: gate\r\n" + token + head + b"\r\n" + body
    told(*front.ask(sent), reads=method in {b"GET", b"HEAD"})
    front.sees_no_fault()


@quick
@given(method=st.sampled_from(METHODS), rest=st.binary(max_size=200))
def test_any_bytes_behind_a_request_line_are_answered_with_a_code(front: Front, method: bytes, rest: bytes) -> None:
    sent = method + b" /pypi/simple/ HTTP/1.1\r\nHost: gate\r\n" + rest + b"\r\n\r\n"
    told(*front.ask(sent), reads=method in {b"GET", b"HEAD"})
    front.sees_no_fault()


@quick
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes_at_all_are_answered_with_a_code(front: Front, sent: bytes) -> None:
    told(*front.ask(b"A" + sent + b"\r\n\r\n"), reads=False)
    front.sees_no_fault()


def spoiled(made: tuple[bytes, int, bytes]) -> bytes:
    whole, at, other = made
    return whole[:at] + other + whole[at + len(other) :]


FIELDS = [":action", "name", "version", "filetype", "protocol_version", "sha256_digest", "attestations", "content", "x"]
FORMED = ["file_upload", "remove_pkg", "acme-good", "1.0.0", "bdist_wheel", "sdist", "1", "[]", "[{}]", "[[[[", ""]
made_parts = st.builds(
    lambda name, value, filename, extra: part(name, value, filename=filename, extra=extra),
    st.sampled_from(FIELDS),
    st.sampled_from(FORMED).map(str.encode) | st.binary(max_size=40) | st.just(GOOD.content),
    st.none() | st.sampled_from([GOOD.name, "acme_good-1.0.0.tar.gz", "../a.whl", ""]),
    st.sampled_from(["", "\r\nContent-Type: a/b", "; filename*=UTF-8''a", "; name=b", "\r\n folded", "\x00"]),
)
full_forms = st.permutations([
    part(":action", "file_upload"), part("protocol_version", "1"), part("name", "acme-good"), part("version", "1.0.0"),
    part("filetype", "bdist_wheel"), part("content", GOOD.content, filename=GOOD.name),
])  # fmt: skip
bodies = (
    st.lists(made_parts, max_size=6).map(form)
    | st.tuples(full_forms, made_parts).map(lambda made: form([*made[0], made[1]]))
    | st.binary(max_size=200)
    | st.tuples(full_forms.map(form), st.integers(0, 2000), st.binary(max_size=3)).map(spoiled)
)
types = st.sampled_from([
    f"multipart/form-data; boundary={BOUNDARY}", f'multipart/form-data; boundary="{BOUNDARY}"', "multipart/form-data",
    "multipart/mixed; boundary=lab-boundary", "application/json", "", "multipart/form-data; boundary=" + "a" * 71,
])  # fmt: skip


@quick
@given(body=bodies, content_type=types | st.just(f"multipart/form-data; boundary={BOUNDARY}"))
def test_any_form_is_answered_with_a_code_and_never_forwarded(front: Front, body: bytes, content_type: str) -> None:
    credential = base64.b64encode(f"__token__:{front.gate.token}".encode()).decode()
    head = (
        f"POST /pypi/ HTTP/1.1\r\nHost: gate\r\nAuthorization: Basic {credential}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    told(*front.ask(head.encode() + body), reads=False)
    assert not front.gate.registry.writes
    assert not front.faults
