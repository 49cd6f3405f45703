"""From the server's request to a `Head`: what proxy and registry could take for two different requests is refused here.

aiohttp's parser has refused most of what breaks RFC 9112 by now. It still lets through: HTTP/0.9 and HTTP/2.0 in a
request line, transfer codings other than `chunked` and any of them in HTTP/1.0, and as many bytes of headers as their
count and their single bound allow.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

from aiohttp import HttpVersion10, HttpVersion11, web

from gateway import limits
from gateway.ecosystems.protocol import Head
from gateway.reasons import Code, Reason

_VERSIONS: Final = (HttpVersion10, HttpVersion11)
_DOTS: Final = frozenset({".", ".."})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def read(request: web.BaseRequest) -> tuple[str, Head] | Reason:
    """The host a request is for and its head, or why it is refused; nothing of the client's is repeated."""
    if problem := _framing(request):
        return problem
    target = _target(request)
    if target is None:
        return _malformed("the request's target", "a path that can be read in one way only")
    host, path, query = target
    return host, Head(request.method, path, query, tuple(request.headers.items()))


def _framing(request: web.BaseRequest) -> Reason | None:
    if request.version not in _VERSIONS:
        return _malformed("the request's version", "HTTP/1.1")
    codings = request.headers.getall("Transfer-Encoding", [])
    if codings and (request.version == HttpVersion10 or [coding.lower() for coding in codings] != ["chunked"]):
        return _malformed("Transfer-Encoding", "chunked and nothing else, in HTTP/1.1")
    if sum(len(name) + len(value) for name, value in request.raw_headers) > limits.HEADERS_TOTAL:
        return _malformed("the request's headers", f"at most {limits.HEADERS_TOTAL} bytes")
    return None


def _target(request: web.BaseRequest) -> tuple[str, str, str] | None:
    """Host, path and query of the request target; an absolute-form target's own authority counts (RFC 9112, 3.2.2)."""
    raw = request.raw_path
    host = request.headers.get("Host", "")
    if not raw.startswith("/"):
        try:
            absolute = urlsplit(raw)
        except ValueError:
            return None
        if absolute.scheme not in {"http", "https"} or not absolute.netloc or "@" in absolute.netloc:
            return None
        host, raw = absolute.netloc, raw[raw.index(absolute.netloc) + len(absolute.netloc) :] or "/"
    path, _, query = raw.partition("?")
    return None if "#" in raw or not path.startswith("/") or _ambiguous(path) else (host, path, query)


@lru_cache(maxsize=limits.PATHS_REMEMBERED)
def _ambiguous(path: str) -> bool:
    """Whether a registry may find another path in this one: by decoding, unescaping twice, or leaving a directory."""
    once = unquote(path)
    return (
        not path.isascii()
        or "\\" in once
        or _CONTROL.search(once) is not None
        or unquote(once) != once
        or any(segment.partition(";")[0] in _DOTS for segment in once.split("/"))
    )


def _malformed(about: str, expected: str) -> Reason:
    return Reason(Code.REQUEST_MALFORMED, about, expected)
