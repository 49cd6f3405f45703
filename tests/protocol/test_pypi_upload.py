"""What a form may say: what the registries' parsers would read differently is refused, and nothing is passed on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.demo.packages import Distribution, sdist, wheel
from tests.lab.gate import CREDENTIAL, GOOD, LabGate, lab_gate
from tests.lab.raw import exchange, form, part, post


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path) as running:
        yield running


def fields(gate: LabGate, of: Distribution = GOOD) -> list[bytes]:
    """The fields of a good form, in an order that clients use."""
    return [
        part(":action", "file_upload"),
        part("protocol_version", "1"),
        part("name", "acme-good"),
        part("version", "1.0.0"),
        part("filetype", "bdist_wheel"),
        part("sha256_digest", of.sha256),
        part("attestations", b"[" + gate.attestation(of) + b"]"),
    ]


def content(of: Distribution = GOOD, name: str | None = None, extra: str = "") -> bytes:
    return part("content", of.content, filename=of.name if name is None else name, extra=extra)


async def sent(gate: LabGate, parts: list[bytes], **how: str) -> tuple[int, bytes]:
    return await exchange(gate.base, post(form(parts), gate.token, **how))


@pytest.mark.parametrize("of", [wheel("acme-good", "1.0.0"), sdist("acme-good", "1.0.0")], ids=["wheel", "sdist"])
async def test_a_good_release_reaches_the_registry_byte_for_byte(gate: LabGate, of: Distribution) -> None:
    status, reason, _ = await gate.upload(of)
    assert (status, reason) == (200, "OK")
    assert gate.registry.files == {of.name: of.content}
    assert await gate.codes() == set()


async def test_the_registry_gets_the_gateways_credential_and_a_form_built_anew(gate: LabGate) -> None:
    extra = [part("unknown_field", "x"), part("gpg_signature", b"sig", filename=f"{GOOD.name}.asc")]
    status, _ = await sent(gate, [*fields(gate), *extra, content()])
    assert status == 200
    ((method, path, headers),) = gate.registry.writes
    assert (method, path) == ("POST", "/")
    assert headers["Authorization"] == CREDENTIAL
    assert "lab-boundary" not in headers["Content-Type"]
    assert gate.token not in str(headers)
    (got,) = gate.registry.forms
    assert [name for name, _ in got] == [
        ":action", "protocol_version", "name", "version", "filetype", "sha256_digest", "content",
    ]  # fmt: skip


async def test_attestations_may_come_after_the_file_as_uv_sends_them(gate: LabGate) -> None:
    *metadata, attestations = fields(gate)
    status, _ = await sent(gate, [*metadata, content(), attestations])
    assert status == 200


MALFORMED: dict[str, Callable[[LabGate], list[bytes]]] = {
    "a second content": lambda g: [*fields(g), content(), content()],
    "a second action that removes": lambda g: [*fields(g), part(":action", "remove_pkg"), content()],
    "an action that removes": lambda g: [part(":action", "remove_pkg"), *fields(g)[1:], content()],
    "an action in capitals": lambda g: [part(":action", "FILE_UPLOAD"), *fields(g)[1:], content()],
    "no action": lambda g: [*fields(g)[1:], content()],
    "documentation": lambda g: [part(":action", "doc_upload"), *fields(g)[1:], content()],
    "a second name": lambda g: [*fields(g), part("name", "acme-good"), content()],
    "no file": fields,
    "content as a field": lambda g: [*fields(g), part("content", "x")],
    "attestations as a file": lambda g: [*fields(g)[:-1], part("attestations", b"[]", filename="a"), content()],
    "an extended file name": lambda g: [*fields(g), content(extra="; filename*=UTF-8''evil-1.0.0.tar.gz")],
    "two file names": lambda g: [*fields(g), content(extra='; filename="evil-1.0.0.tar.gz"')],
    "a transfer encoding": lambda g: [*fields(g), content(extra="\r\nContent-Transfer-Encoding: base64")],
    "the wrong file type": lambda g: [
        *(part("filetype", "sdist") if b"filetype" in f else f for f in fields(g)),
        content(),
    ],
    "no file type": lambda g: [*(f for f in fields(g) if b"filetype" not in f), content()],
    "a protocol of tomorrow": lambda g: [
        *(part("protocol_version", "2") if b"protocol" in f else f for f in fields(g)),
        content(),
    ],
    "a field that is not UTF-8": lambda g: [*fields(g), part("summary", b"\xff\xfe"), content()],
}


@pytest.mark.parametrize("spoiled", MALFORMED)
async def test_a_form_that_two_parsers_read_differently_is_refused(gate: LabGate, spoiled: str) -> None:
    status, _ = await sent(gate, MALFORMED[spoiled](gate))
    assert status == 400
    assert await gate.codes() == {"upload-malformed"}
    assert not gate.registry.writes


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../acme_good-1.0.0-py3-none-any.whl", "file-name-invalid"),
        ("acme_good-1.0.0-py3-none-any.whl/..", "upload-malformed"),
        ("a\\acme_good-1.0.0-py3-none-any.whl", "upload-malformed"),
        ("acme_good-1.0.0-py3-none-any.whl.", "upload-malformed"),
        ("acme_good-1.0.0-py3-none-any.WHL", "upload-malformed"),
        ("acme_good-1.0.0-py3-none-any.whl\u202e", "upload-malformed"),
        ("acme_good-1.0.0.exe", "upload-malformed"),
        ("acme_good.whl", "file-name-invalid"),
    ],
)
async def test_path_tricks_and_foreign_names_are_refused(gate: LabGate, name: str, code: str) -> None:
    parts = [*(f for f in fields(gate)), content(name=name)]
    status, _ = await sent(gate, parts)
    assert status == 400
    assert await gate.codes() == {code}
    assert not gate.registry.writes


@pytest.mark.parametrize(
    ("field", "value", "code", "status"),
    [
        ("sha256_digest", "0" * 64, "form-digest-mismatch", 400),
        ("md5_digest", "0" * 32, "form-digest-mismatch", 400),
        ("blake2_256_digest", "0" * 64, "form-digest-mismatch", 400),
        ("name", "acme-evil", "package-metadata-mismatch", 403),
        ("version", "1.0.1", "package-metadata-mismatch", 403),
        ("name", None, "package-metadata-mismatch", 403),
        ("version", None, "package-metadata-mismatch", 403),
    ],
)
async def test_a_form_that_disagrees_with_the_file_is_refused(
    gate: LabGate, field: str, value: str | None, code: str, status: int
) -> None:
    assert (await gate.upload(fields={field: value}))[0] == status
    assert await gate.codes() == {code}
    assert not gate.registry.writes


@pytest.mark.parametrize(("name", "version"), [("Acme_Good", "1.0.0"), ("acme.good", "1.0"), ("ACME--good", "1.0.0.0")])
async def test_a_form_may_spell_name_and_version_as_the_ecosystem_allows(
    gate: LabGate, name: str, version: str
) -> None:
    assert (await gate.upload(fields={"name": name, "version": version}))[0] == 200


@pytest.mark.parametrize(
    ("attestations", "code"),
    [
        ("", "evidence-malformed"),
        ("[]", "evidence-malformed"),
        ("{}", "evidence-malformed"),
        ("[1", "evidence-malformed"),
        ('[{"hello":[1,2]},{"second":1}]', "evidence-malformed"),
        ("[" + ",".join(["{}"] * 17) + "]", "evidence-limit"),
    ],
)
async def test_attestations_that_are_none_reject_the_upload(gate: LabGate, attestations: str, code: str) -> None:
    assert (await gate.upload(fields={"attestations": attestations}))[0] == 403
    assert code in await gate.codes()
    assert not gate.registry.writes


async def test_one_invalid_attestation_beside_a_good_one_rejects(gate: LabGate) -> None:
    both = f"[{gate.attestation().decode()},{{}}]"
    assert (await gate.upload(fields={"attestations": both}))[0] == 403
    assert await gate.codes() == {"evidence-malformed"}


async def test_two_attestations_of_one_predicate_type_reject(gate: LabGate) -> None:
    both = f"[{gate.attestation().decode()},{gate.attestation().decode()}]"
    assert (await gate.upload(fields={"attestations": both}))[0] == 403
    assert await gate.codes() == {"evidence-duplicate"}


async def test_an_archive_that_is_none_is_refused(gate: LabGate) -> None:
    assert (await gate.upload(Distribution(GOOD.name, b"not a zip")))[0] == 400
    assert await gate.codes() == {"archive-malformed"}


async def test_the_same_bytes_again_answer_as_pypi_does(gate: LabGate) -> None:
    assert (await gate.upload())[0] == 200
    status, _, body = await gate.upload()
    assert (status, body) == (200, "This file is already there.\n")
    assert len(gate.registry.writes) == 1


async def test_other_bytes_under_a_published_name_are_refused(gate: LabGate) -> None:
    assert (await gate.upload())[0] == 200
    other = wheel("acme-good", "1.0.0", source="# built again\n")
    assert (await gate.upload(other))[0] == 409
    assert await gate.codes() == {"version-exists"}
    assert gate.registry.files == {GOOD.name: GOOD.content}


async def test_a_name_stays_bound_when_the_registry_lost_the_file(gate: LabGate) -> None:
    assert (await gate.upload())[0] == 200
    gate.registry.files.clear()
    assert (await gate.upload(wheel("acme-good", "1.0.0", source="# other\n")))[0] == 409
    assert await gate.codes() == {"version-exists"}
    assert (await gate.upload())[0] == 200
    assert gate.registry.files == {GOOD.name: GOOD.content}


async def test_a_file_that_was_there_before_the_gate_is_bound_too(gate: LabGate) -> None:
    gate.registry.files[GOOD.name] = b"older bytes"
    assert (await gate.upload())[0] == 409
    assert await gate.codes() == {"version-exists"}
    assert not gate.registry.writes


async def test_another_spelling_of_a_published_name_is_the_same_name(gate: LabGate) -> None:
    assert (await gate.upload())[0] == 200
    respelled = Distribution("Acme.Good-1.0-py3-none-any.whl", wheel("acme-good", "1.0.0", source="# x\n").content)
    await gate.upload(respelled, fields={"name": "acme-good", "version": "1.0.0"})
    assert await gate.codes() == {"version-exists"}
    assert gate.registry.files == {GOOD.name: GOOD.content}
