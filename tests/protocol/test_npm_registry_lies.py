"""What a registry that was taken over says of an npm package, and what of it a reader gets to see."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, cast

import pytest

from gateway.errors import UpstreamError
from gateway.publish.existing import Asked, vouch_existing
from gateway.sandbox import github_identity, slsa_provenance
from gateway.signing import RegistryKeys
from tests.lab.gate import LabGate, lab_gate
from tests.lab.npm import npm_package
from tests.lab.npm_registry import NpmRegistry
from tests.lab.npm_world import POLICY
from tests.protocol.test_npm_mutations import send
from tests.protocol.test_npm_signed import key

ONE: Final = npm_package()


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    """One package that was published, under `reads: verified`, with keys."""
    keys = RegistryKeys((key(),))
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY, verified=True, keys=keys) as running:
        signer = github_identity(ref="refs/tags/v1.0.0")
        statement = slsa_provenance([(ONE.purl, {"sha512": ONE.sha512})], signer)
        document = ONE.document(running.sandbox.sign_statement(statement, signer, running.at))
        assert (await send(running, "PUT", ONE.path, document, token=running.token))[0] == 201
        yield running


def registry(gate: LabGate) -> NpmRegistry:
    return cast("NpmRegistry", gate.registry)


def renamed(gate: LabGate) -> None:
    """The registry answers for one package with another's document, which is accepted and signed."""
    registry(gate).packuments["victim"] = copy.deepcopy(registry(gate).packuments["@acme/widget"])


async def test_one_package_is_never_shown_as_another(gate: LabGate) -> None:
    """Else npm installs what one publisher may publish under every name, and its audit says yes to it."""
    renamed(gate)
    fetched = await gate.fetch("/npm/victim")
    assert fetched.status == 502
    assert b"widget" not in fetched.body


async def test_no_other_package_is_signed_than_was_asked_for(gate: LabGate) -> None:
    renamed(gate)
    looked = vouch_existing(gate.served, gate.store, "victim", Asked("ann", gate.at, rehearsal=False))
    with pytest.raises(UpstreamError, match="another package"):
        await anext(looked)
