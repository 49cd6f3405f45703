"""`provgate demo`: the whole thing on this machine, with real clients and a real registry."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Final

import click

from gateway.demo import acts, clients, run, show
from gateway.demo.acts import Act, Played
from gateway.demo.image_act import IMAGE
from gateway.demo.npm_act import NPM
from gateway.demo.processes import ProgramError
from gateway.demo.run import Install, Publish, Stage
from gateway.demo.scenarios import SCENARIOS, Scenario
from gateway.service.compose import now

# Each is played where the programs it needs are here.
ACTS: Final[tuple[Act, ...]] = (NPM, IMAGE)


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, and print what to try.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Also write a picture of the output.")
def demo(*, keep: bool, as_json: bool, svg: Path | None) -> None:
    """Publish good and bad releases with twine and uv through a gateway; exit 0 when each went as it should."""
    # Asked to end, end as after Ctrl-C: nothing that was started stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with run.stage(now()) as stage:
            publishes, installs, played = _play(stage, quiet=as_json)
            if as_json:
                click.echo(show.as_json(publishes, installs, played))
            if svg is not None:
                show.write_svg(svg, stage, publishes, installs, played)
            if not run.as_expected(publishes, installs, played) and stage.world.gateway is not None:
                click.echo(f"what the gateway printed:\n{stage.world.gateway.tail(100)}", err=True)
            if keep:
                show.console().print(show.closing(stage, publishes))
                _until_interrupted()
    except ProgramError as error:
        raise click.ClickException(str(error)) from error
    if not run.as_expected(publishes, installs, played):
        raise click.exceptions.Exit(1)


def _play(stage: Stage, *, quiet: bool) -> tuple[list[Publish], list[Install], tuple[Played, ...]]:
    out = show.console(quiet=quiet)
    out.print(show.opening(stage))
    publishes: list[Publish] = []
    installs: list[Install] = []
    with show.progress(out) as line:
        task = line.add_task("", total=len(SCENARIOS) + len(clients.INSTALLERS))

        def begin(scenario: Scenario, client: str) -> None:
            line.update(task, description=f"{client}: {scenario.title}")

        for number, done in enumerate(run.publish_all(stage, begin), 1):
            publishes.append(done)
            line.advance(task)
            line.console.print(show.publish(number, done))
        for client in clients.INSTALLERS:
            line.update(task, description=f"{client}: install what was published")
            installs.append(run.install(stage, client))
            line.advance(task)
            line.console.print(show.install(installs[-1]))
        line.update(task, description="more, where its programs are here")
        played = acts.play(ACTS, stage.room, stage.signer.at, lambda done: line.console.print(show.act(done)))
    out.print(show.table(publishes, installs, played))
    return publishes, installs, played


def _until_interrupted() -> None:
    """Wait for Ctrl-C or a request to end, then let everything that was started be ended in order."""
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    signal.sigwait(ends)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)
