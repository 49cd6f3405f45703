"""Killed at any step of a publish and started again: nothing half published, nothing published without a record."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.config import load_settings
from gateway.demo import clients
from gateway.demo.packages import Distribution, sdist, wheel
from gateway.demo.processes import Program
from gateway.demo.scenarios import POLICY
from gateway.demo.world import LISTENING, World, environment, world
from gateway.model.intent import Settlement, Step
from gateway.sandbox import Sandbox, github_identity, slsa_provenance
from gateway.service.compose import now
from gateway.store import Query, Store, Written, load_or_create_key

KILLED = Path(__file__).parents[1] / "lab" / "killed.py"
WHEEL = wheel("acme-good", "1.0.0", source="# " + "x" * 200_000)
SDIST = sdist("acme-good", "1.0.0")


@dataclass
class Crash:
    """A world whose gateway can be run in the version that kills itself."""

    world: World
    sandbox: Sandbox
    token: str

    def publish(self, of: Distribution) -> clients.Run:
        by = github_identity()
        statement = slsa_provenance([(of.name, {"sha256": of.sha256})], by)
        attestation = self.sandbox.attest(statement, by, now())
        path = clients.lay(self.world.folder / "dist", of, {"slsa": attestation})
        return clients.publish("twine", path, self.world.upload_url, self.token)

    def publish_and_be_killed(self, of: Distribution, point: str) -> None:
        """Publish through a gateway that dies at this point, and see that it did."""
        self.world.stop()
        command = [sys.executable, "-P", str(KILLED), str(self.world.settings), point]
        with Program(
            command, self.world.folder / f"killed-{point}.log", env=environment(), cwd=self.world.folder
        ) as gate:
            self.world.address = gate.wait_for_line(LISTENING).rstrip("/")
            run = self.publish(of)
            assert gate.wait_until_end() == -signal.SIGKILL
        assert not run.succeeded or point == Step.SETTLED

    def records(self) -> tuple[Written, ...]:
        settings = load_settings(self.world.settings)

        async def read() -> tuple[Written, ...]:
            async with await Store.open(settings.store, load_or_create_key(settings.key_file)) as store:
                assert await store.open_intents() == () or self.damaged
                return await store.records(Query())

        return asyncio.run(read())

    damaged: bool = False


@pytest.fixture
def crash(tmp_path: Path) -> Iterator[Crash]:
    sandbox = Sandbox.create(now())
    with world(tmp_path, sandbox, POLICY) as made:
        yield Crash(made, sandbox, made.token())


def unremovable(crash: Crash) -> None:
    """Make the registry one that cannot take a file out again."""
    text = crash.world.settings.read_text()
    assert "remove: pypiserver" in text
    crash.world.settings.write_text(text.replace("remove: pypiserver", "remove: none"))


EXPECTED = {
    Step.DECIDED: Settlement.ABSENT,
    Step.FORWARDING: Settlement.ABSENT,
    Step.FORWARDED: Settlement.PUBLISHED,
    Step.SETTLED: Settlement.PUBLISHED,
    "received": Settlement.PUBLISHED,
}


@pytest.mark.parametrize("point", [*Step, "received"])
def test_killed_at_a_step_it_is_settled_and_can_be_published_again(crash: Crash, point: str) -> None:
    crash.publish_and_be_killed(WHEEL, point)
    crash.world.start()
    (written,) = crash.records()
    assert written.intent is not None
    assert written.intent.settlement is EXPECTED[point]
    published = EXPECTED[point] is Settlement.PUBLISHED
    assert crash.world.upstream.files() == ({WHEEL.name: WHEEL.sha256} if published else {})
    assert crash.publish(WHEEL).succeeded
    assert crash.world.upstream.files() == {WHEEL.name: WHEEL.sha256}


def test_a_half_written_file_is_taken_out_and_can_be_published_again(crash: Crash) -> None:
    crash.publish_and_be_killed(WHEEL, "body")
    left = crash.world.upstream.files()
    assert left != {}
    assert left != {WHEEL.name: WHEEL.sha256}
    crash.world.start()
    (written,) = crash.records()
    assert written.intent is not None
    assert written.intent.settlement is Settlement.ABSENT
    assert crash.world.upstream.files() == {}
    assert crash.publish(WHEEL).succeeded
    assert crash.world.upstream.files() == {WHEEL.name: WHEEL.sha256}


@pytest.mark.parametrize("sibling", [True, False])
def test_a_half_written_file_that_cannot_be_taken_out_is_withheld_until_a_person_mends_it(
    crash: Crash, *, sibling: bool
) -> None:
    if sibling:  # which the registry's removal would take along
        assert crash.publish(SDIST).succeeded
    else:
        unremovable(crash)
    crash.publish_and_be_killed(WHEEL, "body")
    crash.world.start()
    crash.damaged = True
    written = crash.records()[0]
    assert written.intent is not None
    assert written.intent.settlement is Settlement.DAMAGED
    assert "Delete this one file from the registry's storage" in written.intent.problem
    siblings = {SDIST.name: SDIST.sha256} if sibling else {}
    assert crash.world.upstream.files().items() >= siblings.items()
    assert not clients.install("pip", "acme-good==1.0.0", crash.world.index_url, crash.world.folder / "t").succeeded
    refused = crash.publish(WHEEL)
    assert "publish-unsettled" in refused.output
    (crash.world.upstream.packages / WHEEL.name).unlink()
    assert crash.publish(WHEEL).succeeded
    assert crash.world.upstream.files() == {WHEEL.name: WHEEL.sha256, **siblings}
    assert clients.install("pip", "acme-good==1.0.0", crash.world.index_url, crash.world.folder / "u").succeeded
