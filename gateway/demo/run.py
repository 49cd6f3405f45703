"""The demonstration itself: every scenario published through the gateway by a real client, and judged."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from gateway.demo import clients
from gateway.demo.acts import Played
from gateway.demo.clients import Run
from gateway.demo.packages import Distribution
from gateway.demo.scenarios import POLICY, SCENARIOS, Attempt, Scenario, Signer
from gateway.demo.world import World, world
from gateway.model.decision import Outcome
from gateway.reasons import Code
from gateway.sandbox import Sandbox

_LINK: Final = re.compile(r"http://127\.0\.0\.1:\d+/-/d/[A-Za-z0-9_-]{22}")
_FORGED_TOKEN: Final = "pvg_" + "a" * 16 + "_" + "A" * 43
_PAGE_SECONDS: Final = 10.0
_PAGE_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Publish:
    """One scenario as it went: what the client printed, what the gateway's page says, what the registry then holds."""

    scenario: Scenario
    file: str
    run: Run
    codes: frozenset[Code]
    link: str | None
    holds: str
    problems: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether everything went as the scenario says it must."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Install:
    """One installation through the gateway of what was published."""

    run: Run
    problems: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether the package was installed, with exactly the bytes that were published."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Stage:
    """A world with what the demo needs in it: who signs, the token clients publish with, and room for their files."""

    world: World
    signer: Signer
    token: str
    room: Path


@contextmanager
def stage(now: datetime) -> Iterator[Stage]:
    """Set up a world in a folder that disappears with it."""
    with TemporaryDirectory(prefix="provgate-demo-") as name:
        folder = Path(name)
        sandbox = Sandbox.create(now)
        with world(folder, sandbox, POLICY) as made:
            yield Stage(made, Signer(sandbox, now), made.token("pkg:pypi/acme-*"), folder / "dist")


def publish_all(on: Stage, begin: Callable[[Scenario, str], None]) -> Iterator[Publish]:
    """Publish every scenario in turn, with twine and uv alternating; `begin` is told before each."""
    for number, scenario in enumerate(SCENARIOS):
        client = clients.PUBLISHERS[number % len(clients.PUBLISHERS)]
        begin(scenario, client)
        yield publish(on, scenario, client)


def publish(on: Stage, scenario: Scenario, client: str) -> Publish:
    """Publish one scenario with one client, and compare everything with what must become of it."""
    attempt: Attempt = scenario.make(on.signer)
    path = clients.lay(on.room / scenario.slug, attempt.distribution, attempt.attestations)
    before = on.world.upstream.files()
    run = clients.publish(client, path, on.world.upload_url, on.token if scenario.token else _FORGED_TOKEN)
    after = on.world.upstream.files()
    link, codes = _verdict(run.output)
    publish = Publish(scenario, attempt.distribution.name, run, codes, link, _holds(attempt.distribution, after), ())
    return replace(publish, problems=tuple(_problems(publish, attempt.distribution, before, after)))


def install(on: Stage, client: str) -> Install:
    """Install the good release through the gateway, and compare the module with what was published."""
    target = on.room / f"installed-by-{client}"
    run = clients.install(client, "acme-good", on.world.index_url, target)
    problems = [] if run.succeeded else [f"{client} says that it could not install"]
    if run.succeeded and not (target / "acme_good" / "__init__.py").is_file():
        problems.append("the package is not where it was installed to")
    return Install(run, tuple(problems))


def as_expected(publishes: Iterable[Publish], installs: Iterable[Install], acts: Iterable[Played]) -> bool:
    """Whether everything went as it must."""
    each = (done.as_expected for group in (publishes, installs, acts) for done in group)
    return all(each)


def _verdict(output: str) -> tuple[str | None, frozenset[Code]]:
    """Follow the link that the client printed, as its user would, and read which codes the page gives."""
    found = _LINK.search(output)
    if found is None:
        return None, frozenset(code for code in Code if f"{code.value}: " in output)
    request = urllib.request.Request(found.group(), headers={"Accept": "application/json"})  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=_PAGE_SECONDS) as answer:  # noqa: S310
        page = json.loads(answer.read(_PAGE_BYTES))
    return found.group(), frozenset(Code(reason["code"]) for reason in page["reasons"])


def _holds(distribution: Distribution, files: dict[str, str]) -> str:
    held = files.get(distribution.name)
    if held is None:
        return "nothing"
    return "these bytes" if held == distribution.sha256 else "the earlier bytes"


def _problems(
    publish: Publish, distribution: Distribution, before: dict[str, str], after: dict[str, str]
) -> Iterator[str]:
    scenario, run = publish.scenario, publish.run
    if scenario.outcome is Outcome.ACCEPT:
        if not run.succeeded:
            yield f"{run.client} says that it could not publish (status {run.status})"
        expected = before | {distribution.name: distribution.sha256}
    else:
        if run.succeeded:
            yield f"{run.client} says that it published"
        expected = before
    if publish.codes != scenario.codes:
        yield f"expected {_names(scenario.codes)}, got {_names(publish.codes)}"
    if after != expected:
        yield f"the registry holds {', '.join(after) or 'nothing'}"
    if scenario.codes and not any(code.value in run.output for code in scenario.codes):
        yield f"{run.client} did not print why"


def _names(codes: frozenset[Code]) -> str:
    return ", ".join(sorted(code.value for code in codes)) or "no code"
