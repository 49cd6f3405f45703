"""A log's promise to include an entry (the signed entry timestamp of Rekor v1): what it is signed over."""

from __future__ import annotations

import binascii

from gateway.verification.bundle import LogEntry


def promised(entry: LogEntry) -> bytes:
    """Return the bytes a promise is signed over: RFC 8785 JSON of body, time, log and index.

    Every value is base64, hexadecimal or a number below 2^63, so the canonical form needs no escaping; numbers beyond
    2^53, which RFC 8785 writes as a double, are a log's nine-thousand-year future.
    """
    body = binascii.b2a_base64(entry.body, newline=False).decode()
    return (
        f'{{"body":"{body}","integratedTime":{entry.time or 0},'
        f'"logID":"{entry.log_id.hex()}","logIndex":{entry.index}}}'
    ).encode()
