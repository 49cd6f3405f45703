"""Who may do what, on the wire: every write needs a grant, a read what its registry says (CONTRACTS A.1-A.3, B.1)."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.config import ReadAuth
from gateway.credentials import PREFIX, mint, new_id
from gateway.demo.packages import wheel
from gateway.errors import StoreError
from gateway.proxy.mounts import Mounted
from gateway.reasons import Code
from gateway.store import Query
from tests.lab.gate import CREDENTIAL, GOOD, KEY, LabGate, lab_gate
from tests.lab.raw import code, everything, form, part

pytestmark = pytest.mark.asyncio(loop_scope="module")
HELD = "acme_held-1.0.0-py3-none-any.whl"
FILE = f"/pypi/packages/{HELD}"
READS = ["/pypi/simple/", "/pypi/simple/acme-held/", FILE]
FOREIGN = "Basic " + base64.b64encode(b"reader:registry-password").decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path_factory.mktemp("gate")) as gate:
        yield gate


@pytest.fixture
def gate(running: LabGate) -> LabGate:
    running.registry.requests.clear()
    return running


@dataclass(frozen=True)
class Reading:
    """A gate and how it is read."""

    gate: LabGate
    mode: ReadAuth

    async def get(self, path: str, *authorization: str) -> bytes:
        self.gate.registry.requests.clear()
        return await everything(self.gate.base, request("GET", path, *authorization))

    @property
    def sent(self) -> list[str | None]:
        """The credentials that went to the registry, one for each request there."""
        return [headers.get("Authorization") for _, _, headers in self.gate.registry.requests]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(ReadAuth))
async def reading(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reading]:
    async with lab_gate(tmp_path_factory.mktemp("gate"), read_auth=request.param) as gate:
        gate.registry.files[HELD] = b"bytes"
        yield Reading(gate, request.param)


def basic(password: str, user: str = "__token__") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def request(method: str, path: str, *authorization: str, body: bytes = b"", extra: str = "") -> bytes:
    headers = "".join(f"Authorization: {value}\r\n" for value in authorization)
    return (
        f"{method} {path} HTTP/1.1\r\nHost: gate\r\n{headers}{extra}Connection: close\r\n"
        f"Content-Type: multipart/form-data; boundary=lab-boundary\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def publish(gate: LabGate, name: str = GOOD.name) -> bytes:
    """A form with perfect evidence."""
    of = replace(GOOD, name=name)
    fields: dict[str, str | bytes] = {
        ":action": "file_upload",
        "protocol_version": "1",
        "name": "acme-good",
        "version": "1.0.0",
        "filetype": "bdist_wheel",
        "attestations": b"[" + gate.attestation(of) + b"]",
    }
    return form([*(part(key, value) for key, value in fields.items()), part("content", of.content, filename=of.name)])


async def recorded(gate: LabGate) -> int:
    return len(await gate.store.records(Query(limit=1000)))


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def challenge(answer: bytes) -> str | None:
    match = re.search(rb"\r\nWWW-Authenticate: ([^\r]*)\r\n", answer.partition(b"\r\n\r\n")[0] + b"\r\n")
    return match[1].decode() if match else None


# --- writes --------------------------------------------------------------------------------------------------------


async def _unknown(gate: LabGate) -> list[str]:
    (known, *_) = await gate.store.grants()
    grant = replace(known.grant, id=new_id(secrets.token_bytes))
    return [basic(mint(grant, KEY, secrets.token_bytes).token)]


async def _of_another_key(gate: LabGate) -> list[str]:
    (known, *_) = await gate.store.grants()
    return [basic(mint(known.grant, b"another key".ljust(32), secrets.token_bytes).token)]


async def _revoked(gate: LabGate) -> list[str]:
    token = await gate.grant()
    grant_id = token.split("_")[1]
    assert await gate.store.revoke_grant(grant_id, gate.at)
    return [basic(token)]


async def _expired(gate: LabGate) -> list[str]:
    return [basic(await gate.grant(expires=gate.at - timedelta(seconds=1)))]


async def _not_yet(gate: LabGate) -> list[str]:
    return [basic(await gate.grant(not_before=gate.at + timedelta(minutes=10)))]


async def _of_another_registry(gate: LabGate) -> list[str]:
    return [basic(await gate.grant(registry="other"))]


async def _for_reading(gate: LabGate) -> list[str]:
    return [basic(await gate.grant("read"))]


async def _for_attaching(gate: LabGate) -> list[str]:
    return [f"Bearer {await gate.grant('attach')}"]


async def _used_up(gate: LabGate) -> list[str]:
    return [basic(await gate.grant(uses_left=0))]


Make = Callable[[LabGate], list[str] | Awaitable[list[str]]]
REFUSED: dict[str, tuple[Make, int, Code]] = {
    "no credential": (lambda _: [], 401, Code.CREDENTIAL_MISSING),
    "an empty header": (lambda _: [""], 401, Code.CREDENTIAL_MISSING),
    "an empty Basic": (lambda _: ["Basic Og=="], 401, Code.CREDENTIAL_MISSING),
    "a password of something else": (lambda _: [basic("hunter2")], 401, Code.CREDENTIAL_INVALID),
    "a bearer of something else": (lambda _: ["Bearer eyJhbGciOiJub25lIn0.e30."], 401, Code.CREDENTIAL_INVALID),
    "the registry's own credential": (lambda _: [CREDENTIAL], 401, Code.CREDENTIAL_INVALID),
    "Basic that is no base64": (lambda _: ["Basic !!!"], 401, Code.CREDENTIAL_INVALID),
    "Basic without a password": (lambda _: ["Basic"], 401, Code.CREDENTIAL_INVALID),
    "bytes that are no text": (lambda _: ["Basic //8="], 401, Code.CREDENTIAL_INVALID),
    "only the prefix": (lambda _: [basic(PREFIX)], 401, Code.CREDENTIAL_INVALID),
    "a token cut short": (lambda g: [basic(g.token[:-1])], 401, Code.CREDENTIAL_INVALID),
    "a token with one letter too many": (lambda g: [basic(g.token + "a")], 401, Code.CREDENTIAL_INVALID),
    "a token with another secret": (lambda g: [basic(g.token[:-1] + ("a" if g.token[-1] != "a" else "b"))], 401,
                                    Code.CREDENTIAL_INVALID),
    "a token in capitals": (lambda g: [basic(g.token.upper())], 401, Code.CREDENTIAL_INVALID),
    "a token with a blank": (lambda g: [basic(g.token + " ")], 401, Code.CREDENTIAL_INVALID),
    "a token as user name": (lambda g: [basic("", g.token)], 401, Code.CREDENTIAL_INVALID),
    "a token under a scheme of its own": (lambda g: [f"Digest {g.token}"], 401, Code.CREDENTIAL_INVALID),
    "a good token after a bad one": (lambda g: [basic("hunter2"), basic(g.token)], 401, Code.CREDENTIAL_INVALID),
    "a good token twice": (lambda g: [basic(g.token), basic(g.token)], 401, Code.CREDENTIAL_INVALID),
    "a good token and an empty Basic": (lambda g: [basic(g.token), "Basic Og=="], 401, Code.CREDENTIAL_INVALID),
    "a token that nobody made": (_unknown, 401, Code.CREDENTIAL_INVALID),
    "a token made with another store's key": (_of_another_key, 401, Code.CREDENTIAL_INVALID),
    "a revoked token": (_revoked, 401, Code.CREDENTIAL_INVALID),
    "an expired token": (_expired, 401, Code.CREDENTIAL_EXPIRED),
    "a token of tomorrow": (_not_yet, 401, Code.CREDENTIAL_EXPIRED),
    "a token that is used up": (_used_up, 401, Code.CREDENTIAL_EXPIRED),
    "a token of another registry": (_of_another_registry, 403, Code.CREDENTIAL_SCOPE),
    "a token that may only read": (_for_reading, 403, Code.CREDENTIAL_SCOPE),
    "a token that may only attach": (_for_attaching, 403, Code.CREDENTIAL_SCOPE),
}  # fmt: skip


@pytest.mark.parametrize("credential", REFUSED)
async def test_perfect_evidence_is_nothing_without_a_grant(gate: LabGate, credential: str) -> None:
    make, expected, why = REFUSED[credential]
    given = make(gate)
    authorization = given if isinstance(given, list) else await given
    before = await recorded(gate)
    got = await everything(gate.base, request("POST", "/pypi/", *authorization, body=publish(gate)))
    assert (status(got), code(got)) == (expected, why.value)
    assert challenge(got) == ('Basic realm="provgate"' if expected == 401 else None)
    assert await recorded(gate) == before
    assert not gate.registry.requests
    assert all(len(value) < 12 or value.encode() not in got for value in authorization)


GOOD_WAYS: dict[str, Callable[[str], str]] = {
    "Basic": basic,
    "Basic with another user": lambda token: basic(token, "anybody"),
    "Basic in capitals": lambda token: basic(token).replace("Basic", "BASIC"),
    "Bearer": "Bearer {}".format,
    "bearer with blanks": "bearer   {}".format,
    "bare": "{}".format,
}


@pytest.mark.parametrize("how", GOOD_WAYS)
async def test_a_token_may_come_as_basic_or_bearer(gate: LabGate, how: str) -> None:
    got = await everything(gate.base, request("POST", "/pypi/", GOOD_WAYS[how](gate.token), body=form([])))
    assert (status(got), code(got)) == (400, "upload-malformed")


async def test_a_token_for_other_packages_is_refused_by_a_recorded_decision(gate: LabGate) -> None:
    token = await gate.grant(packages="pkg:pypi/acme-other")
    before = await recorded(gate)
    got = await everything(gate.base, request("POST", "/pypi/", basic(token), body=publish(gate)))
    assert (status(got), code(got)) == (403, "credential-scope")
    assert await gate.codes() == {"credential-scope"}
    assert await recorded(gate) == before + 1
    assert not gate.registry.writes


async def test_a_token_with_one_use_publishes_once(gate: LabGate) -> None:
    token = await gate.grant(uses_left=1)
    unsigned = wheel("acme-one-use", "1.0.0", source="# unsigned\n")
    assert (await gate.upload(unsigned, None, token=token))[0] == 403  # a refusal uses nothing up
    one, two = wheel("acme-one-use", "1.0.0"), wheel("acme-second-use", "1.0.0")
    both = await asyncio.gather(gate.upload(one, token=token), gate.upload(two, token=token))
    assert sorted(answer[0] for answer in both) == [200, 401]
    assert next(reason for got, reason, _ in both if got == 401).startswith("credential-expired: ")
    assert len(gate.registry.writes) == 1
    assert (await gate.upload(wheel("acme-third-use", "1.0.0"), token=token))[0] == 401


async def test_a_revocation_counts_from_the_next_request_on(gate: LabGate) -> None:
    token = await gate.grant()
    assert (await gate.upload(wheel("acme-revoked", "1.0.0"), token=token))[0] == 200
    assert await gate.store.revoke_grant(token.split("_")[1], gate.at)
    status_, reason, _ = await gate.upload(wheel("acme-revoked-too", "1.0.0"), token=token)
    assert (status_, reason.split(":")[0]) == (401, "credential-invalid")


async def test_a_write_needs_a_grant_whatever_reads_need(reading: Reading) -> None:
    reading.gate.registry.requests.clear()
    for authorization in ((), (FOREIGN,)):
        sent = request("POST", "/pypi/", *authorization, body=publish(reading.gate))
        assert status(await everything(reading.gate.base, sent)) == 401
    assert not reading.gate.registry.requests


@pytest.mark.parametrize("path", ["/pypi/", "/-/evidence?digest=sha256:" + "0" * 64])
async def test_a_record_that_cannot_be_read_is_said_to_be_so(
    gate: LabGate, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def broken(*_: object) -> None:
        raise StoreError("disk I/O error")

    monkeypatch.setattr(type(gate.store), "grant_by_id", broken)
    got = await everything(gate.base, request("POST", path, basic(gate.token), body=publish(gate)))
    assert (status(got), code(got)) == (503, "record-unavailable")
    assert b"disk" not in got
    assert b"\r\nRetry-After: 30\r\n" in got
    assert not gate.registry.requests


# --- reads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", READS)
async def test_an_anonymous_read_is_what_the_registry_says(reading: Reading, path: str) -> None:
    got = await reading.get(path)
    if reading.mode is ReadAuth.GRANT:
        assert (status(got), code(got)) == (401, "credential-missing")
        assert challenge(got) == 'Basic realm="provgate"'
        assert not reading.gate.registry.requests
    else:
        assert status(got) == 200
        assert reading.sent == [None]


OWN: dict[str, Callable[[str], str]] = {
    "Basic": basic,
    "Basic as user name": lambda token: basic("", token),
    "Basic with a colon in the user name": lambda token: basic(f"b:{token}", "a"),
    "Basic without padding": lambda token: basic(token).rstrip("="),
    "Basic with a blank inside": lambda token: basic(token)[:20] + " " + basic(token)[20:],
    "Bearer": "Bearer {}".format,
    "bare": "{}".format,
    "another scheme": "Token token={}".format,
    "cut short": lambda token: basic(token[:-9]),
}


@pytest.mark.parametrize("how", OWN)
@pytest.mark.parametrize("path", READS)
async def test_a_token_of_the_gateway_never_reaches_the_registry(reading: Reading, path: str, how: str) -> None:
    got = await reading.get(path, OWN[how](reading.gate.token))
    good = how in {"Basic", "Bearer", "bare"}
    if reading.mode is ReadAuth.GRANT and good:
        assert (status(got), reading.sent) == (200, [CREDENTIAL])
    elif reading.mode is ReadAuth.GRANT:
        assert (status(got), code(got)) == (401, "credential-invalid")
        assert not reading.gate.registry.requests
    else:
        assert (status(got), reading.sent) == (200, [None])


@pytest.mark.parametrize("path", READS)
async def test_a_readers_own_credential_goes_through_only_where_it_should(reading: Reading, path: str) -> None:
    got = await reading.get(path, FOREIGN)
    match reading.mode:
        case ReadAuth.GRANT:
            assert (status(got), code(got)) == (401, "credential-invalid")
            assert not reading.gate.registry.requests
        case ReadAuth.PASSTHROUGH:
            assert (status(got), reading.sent) == (200, [FOREIGN])
        case ReadAuth.NONE:
            assert (status(got), reading.sent) == (200, [None])


@pytest.mark.parametrize("path", READS)
async def test_two_credentials_are_none(reading: Reading, path: str) -> None:
    got = await reading.get(path, FOREIGN, basic(reading.gate.token))
    if reading.mode is ReadAuth.GRANT:
        assert (status(got), code(got)) == (401, "credential-invalid")
    else:
        assert (status(got), reading.sent) == (200, [None])


@pytest.mark.parametrize("path", ["/pypi/+status", "/pypi/admin", "/pypi/packages/", "/v2/_catalog", "/", "/pypi"])
async def test_an_unknown_address_is_nobodys_and_lends_no_credential(reading: Reading, path: str) -> None:
    for authorization in ((), (FOREIGN,), (basic(reading.gate.token),)):
        got = await reading.get(path, *authorization)
        assert (status(got), code(got)) == (404, "route-unknown")
        assert not reading.sent


async def test_a_grant_reads_what_it_covers(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, read_auth=ReadAuth.GRANT) as gate:
        gate.registry.files[HELD] = b"bytes"
        cases = {
            "publish": await gate.grant("publish,attach"),
            "other": await gate.grant("read", "pkg:pypi/acme-other"),
            "this": await gate.grant("read", "pkg:pypi/acme-held"),
        }
        for path in READS[1:]:
            assert [(await gate.get(path, token=token))[0] for token in cases.values()] == [403, 403, 200]
        assert (await gate.get("/pypi/simple/", token=cases["publish"]))[0] == 403
        assert {headers.get("Authorization") for _, _, headers in gate.registry.requests} == {CREDENTIAL}


# --- the gateway's own addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mount", ["", "/-", "/-/healthz"])
async def test_the_gateways_own_addresses_beat_any_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mount: str
) -> None:
    monkeypatch.setattr("tests.lab.gate.Mounted", lambda of, _, *rest: Mounted(of, mount, *rest))
    async with lab_gate(tmp_path) as gate:
        assert (await gate.get("/-/healthz"))[::2] == (200, "alive\n")
        assert (await gate.get("/-/simple/"))[1].startswith("route-unknown: ")
        assert not gate.registry.requests


# --- the words of a refusal ----------------------------------------------------------------------------------------


async def test_a_link_to_a_reason_fits_a_terminal() -> None:
    assert max(len(f"https://pypi.acme.example/-/reasons/{why.value}") for why in Code) <= 70


@pytest.mark.parametrize(
    ("field", "hostile"),
    [
        ("name", "acme\r\nX-Injected: yes"),
        ("version", "1.0.0\r\n\r\n<script>alert(1)</script>"),
        (":action", "\x1b]0;title\x07\u202eevil"),
        ("filetype", "\u0130\ud7ff\U0001f600" * 1000),
    ],
)
async def test_a_reason_phrase_is_one_line_of_ascii_with_a_short_link(gate: LabGate, field: str, hostile: str) -> None:
    fields = {":action": "file_upload", "name": "acme-good", "version": "1.0.0", "filetype": "bdist_wheel"} | {
        field: hostile
    }
    sent = form(
        [*(part(key, value) for key, value in fields.items()), part("content", GOOD.content, filename=GOOD.name)]
    )
    got = await everything(gate.base, request("POST", "/pypi/", basic(gate.token), body=sent))
    head, _, told = got.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    assert status(got) in {400, 403}
    assert re.fullmatch(rb"[ -~]{1,500}", line)
    link = line.split(b" ")[-1]
    assert re.fullmatch(rb"http://127\.0\.0\.1:\d+/-/d/[A-Za-z0-9_-]{22}", link)
    assert len(link) <= 70
    assert not [header for header in headers if b"Injected" in header or b"script" in header]
    assert re.fullmatch(rb"[\n -~]*", told)
    assert b"X-Content-Type-Options: nosniff" in headers
