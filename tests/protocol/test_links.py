"""A release under a layout, through the running gateway: links into the locker one by one, then the upload."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.main import commands
from gateway.demo.packages import wheel
from gateway.sandbox import Sandbox
from gateway.service.compose import now
from tests.lab import layouts as lab
from tests.lab.gate import GOOD, LabGate, lab_gate

DIGEST = f"sha256:{GOOD.sha256}"
MADE = {"products": {f"dist/{GOOD.name}": {"sha256": GOOD.sha256}}}
LINKS = (lab.fetch(), lab.build("alice", **MADE), lab.build("bob", **MADE))
POLICY = f"rules: [{{name: acme, packages: 'pkg:pypi/acme-*', attestations: [{{layout: {lab.ROOT}}}]}}]"
FOR_EVER: dict[str, Any] = {"expires": "2999-12-31T00:00:00Z"}


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    Sandbox.create(now()).save(tmp_path / "roots" / "sandbox")
    lab.save(tmp_path / "roots" / lab.ROOT, lab.layout(**FOR_EVER))
    async with lab_gate(tmp_path, policy=POLICY) as running:
        yield running


async def test_an_upload_gets_in_once_every_step_has_its_links(gate: LabGate) -> None:
    seen = []
    for link in LINKS:
        assert (await gate.upload(attestations=None))[0] == 403
        seen.append(await gate.codes())
        assert (await gate.attach(link, DIGEST))[0] == 201
    assert seen == [{"evidence-missing"}, {"layout-threshold"}, {"layout-threshold"}]
    assert not gate.registry.writes
    assert (await gate.upload(attestations=None))[0] == 200
    assert await gate.codes() == set()


async def test_links_of_one_file_are_nothing_for_another(gate: LabGate) -> None:
    for link in LINKS:
        assert (await gate.attach(link, DIGEST))[0] == 201
    other = wheel("acme-good", "1.0.0", source="# other\n")
    for link in LINKS:
        assert (await gate.attach(link, f"sha256:{other.sha256}"))[0] == 201
    assert (await gate.upload(other, attestations=None))[0] == 403
    assert await gate.codes() == {"digest-mismatch"}


@pytest.mark.parametrize(
    ("evidence", "code"),
    [
        (lab.build("stranger", **MADE), "certificate-untrusted"),
        (lab.layout(inspect=[lab.inspection(["true"])]), "layout-inspection"),
        (lab.layout(), "certificate-untrusted"),
        (lab.pack("dave", products=MADE["products"]), "evidence-name-mismatch"),
    ],
    ids=[
        "a stranger's link",
        "a layout with inspections",
        "a layout of nobody who performs a step",
        "a sublayout's link",
    ],
)
async def test_the_locker_refuses(gate: LabGate, evidence: bytes, code: str) -> None:
    status, reason, _ = await gate.attach(evidence, DIGEST)
    assert (status, reason.partition(":")[0]) == (403, code)


async def test_a_sublayout_sent_before_its_links_stands_for_its_step(gate: LabGate) -> None:
    inner = lab.sublayout("alice", **FOR_EVER)
    for piece in (lab.fetch(), inner, lab.compile_(), lab.pack("dave", products=MADE["products"])):
        assert (await gate.attach(piece, DIGEST))[0] == 201
    assert (await gate.upload(attestations=None))[0] == 403
    assert await gate.codes() == {"layout-threshold"}
    assert (await gate.attach(lab.build("bob", **MADE), DIGEST))[0] == 201
    assert (await gate.upload(attestations=None))[0] == 200


@pytest.mark.parametrize(("count", "exit_code", "said"), [(3, 0, "accept"), (2, 1, "layout-threshold")])
def test_verify_takes_links_as_arguments(tmp_path: Path, count: int, exit_code: int, said: str) -> None:
    lab.save(tmp_path / "roots" / lab.ROOT, lab.layout(**FOR_EVER))
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "acme.yaml").write_text(POLICY)
    artifact = tmp_path / GOOD.name
    artifact.write_bytes(GOOD.content)
    arguments = [
        "verify",
        str(artifact),
        "--policy",
        str(tmp_path / "policy"),
        "--trust-roots",
        str(tmp_path / "roots"),
    ]
    for link in LINKS[:count]:
        path = tmp_path / f"{hashlib.sha256(link).hexdigest()[:8]}.link"
        path.write_bytes(link)
        arguments += ["--evidence", str(path)]
    result = CliRunner().invoke(commands, arguments)
    assert (result.exit_code, said in result.output) == (exit_code, True), result.output
