"""The publish document in pieces: whatever way it is cut and ordered, the tarball is decoded and the rest is read."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway import limits
from gateway.ecosystems.npm_body import DocumentReceiver
from gateway.errors import Malformed, TooLarge
from tests.lab.npm import npm_package

GOOD = npm_package()
PATH = GOOD.path


def receive(body: bytes, *, step: int = 1 << 20, limit: int = 1 << 20) -> tuple[DocumentReceiver, bytes]:
    """Feed a body in pieces of `step` bytes; give the receiver and what was spooled."""
    spool = io.BytesIO()
    receiver = DocumentReceiver(PATH, spool, limit)
    for at in range(0, len(body), step):
        receiver.feed(body[at : at + step])
    receiver.finish()
    return receiver, spool.getvalue()


def orders() -> Iterator[tuple[str, dict[str, Any]]]:
    document = GOOD.document(b'{"mediaType":"m","quote":"\\"_attachments\\":{"}')
    yield "npm", document
    yield "yarn", {"_attachments": document["_attachments"], **document}
    yield "backwards", dict(reversed(document.items()))
    attachments = dict(reversed(document["_attachments"].items()))
    inner = {name: dict(reversed(value.items())) for name, value in attachments.items()}
    yield "attachments backwards", {**document, "_attachments": inner}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000, 1 << 20])
@pytest.mark.parametrize(("_of", "document"), list(orders()))
def test_the_tarball_is_spooled_and_the_rest_is_the_document(_of: str, document: dict[str, Any], step: int) -> None:
    receiver, spooled = receive(json.dumps(document).encode(), step=step)
    assert spooled == GOOD.content
    assert receiver.size == len(GOOD.content)
    assert dict(receiver.digests()) == {
        "sha1": hashlib.sha1(GOOD.content).hexdigest(),
        "sha256": GOOD.sha256,
        "sha512": GOOD.sha512,
    }
    name = f"{GOOD.name}-{GOOD.version}.tgz"
    expected = json.loads(json.dumps(document))
    expected["_attachments"][name]["data"] = ""
    assert receiver.document == expected


def test_a_document_without_a_tarball_has_no_size() -> None:
    receiver, spooled = receive(b'{"_id":"x","data":"QUJD","a":{"_attachments":{"x.tgz":{"data":"QUJD"}}}}')
    assert (receiver.size, spooled, receiver.digests()) == (None, b"", ())
    assert receiver.document["data"] == "QUJD"


@pytest.mark.parametrize("key", ["_attachments", "_att\\u0061chments", "\\u005fattachments"])
def test_an_escape_in_a_key_hides_nothing(key: str) -> None:
    receiver, spooled = receive(f'{{"{key}":{{"x.tgz":{{"d\\u0061ta":"QUJD"}}}}}}'.encode())
    assert spooled == b"ABC"
    assert receiver.size == 3


@pytest.mark.parametrize(
    "body",
    [
        '{"_attachments":{"a.tgz":{"data":"QUJD"},"b.tgz":{"data":"QUJD"}}}',
        '{"_attachments":{"a.tgz":{"data":"QUJD","data":"QUJD"}}}',
        '{"_attachments":{"a.tgz":{"data":"QUJD"}},"_attachments":{}}',
        '{"_attachments":{"a.tgz":{"data":"QUJD=QUJD"}}}',
        '{"_attachments":{"a.tgz":{"data":"QR=="}}}',
        '{"_attachments":{"a.tgz":{"data":"-_-_"}}}',
        '{"_attachments":{"a.tgz":{"data":"QUJ"}}}',
        '{"_attachments":{"a.tgz":{"data":"QU\\nJD"}}}',
        '{"_attachments":{"a.tgz":{"data":"QU\\u004aD"}}}',
        '{"_attachments":{"a.tgz":{"data":"QUJD',
        '{"_attachments":{"a.tgz":{"data":"QUJD"}}',
        '{"versions":{},"versions":{}}',
        '{"_id":"x"}}',
        '{"_id":"x"}{"_id":"y"}',
        "]",
        "[]",
        "",
        "null",
        '{"a":NaN}',
        '{"\\uZZZZ":1}',
        '{"a":1 "b":2}',
    ],
)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_could_be_read_in_two_ways_is_refused(body: str, step: int) -> None:
    with pytest.raises(Malformed):
        receive(body.encode(), step=step)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_another_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(Malformed):
        receive('{"_id":"x"}'.encode(encoding))


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * (limits.JSON_DEPTH + 1),
        b'{"_attachments":{"a.tgz":{"data":"' + base64.b64encode(bytes(2000)) + b'"}}}',
        b'{"readme":"' + b"a" * limits.FORM_TOTAL + b'"}',
        b'{"' + b"a" * 2000 + b'":1}',
    ],
    ids=["depth", "tarball", "rest", "key"],
)
def test_what_is_too_large_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(TooLarge):
        receive(body, limit=1999)
