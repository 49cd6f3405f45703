"""`provgate serve`: the gateway."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gateway.cli.options import settings_file
from gateway.config import Listen, Settings, load_settings
from gateway.errors import ConfigurationError
from gateway.publish.verifying import give_way
from gateway.service.compose import Bound, bind, load_certificate, parts_of, trust_of
from gateway.service.serving import Parts, Running, serve_on

log = logging.getLogger("gateway")


@click.command()
@settings_file
@click.option("--verbose", is_flag=True, help="Log what is done, not only what is wrong.")
def serve(config: Path, *, verbose: bool) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP reads policy, trust roots and certificates anew."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings = load_settings(config)
    with _only_one(settings):
        _runner()(run(settings))


async def run(settings: Settings, prepared: Callable[[Parts], Parts] = lambda parts: parts) -> None:
    """Serve one settings file until a signal comes; `prepared` may change the parts (tests watch the steps)."""
    sockets = {listen: bind(listen) for listen in _addresses(settings)}
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with (
        parts_of(settings, {listen: bound.port for listen, bound in sockets.items()}) as parts,
        serve_on(prepared(parts), [(bound.socket, bound.tls) for bound in sockets.values()]) as running,
    ):
        loop.add_signal_handler(signal.SIGHUP, _reload, settings, running, tuple(sockets.values()))
        if settings.sandbox:
            click.echo("SANDBOX: certificates of a sandbox Sigstore are admitted; this proves nothing about anybody.")
        for bound in sockets.values():
            host = f"[{bound.listen.host}]" if ":" in bound.listen.host else bound.listen.host
            click.echo(f"listening on {bound.listen.scheme}://{host}:{bound.port}")
        give_way()
        await stop.wait()
        click.echo("stopping: finishing what is under way")


def _addresses(settings: Settings) -> list[Listen]:
    others = [registry.listen for registry in settings.registries if registry.listen is not None]
    return list(dict.fromkeys([settings.listen, *others]))


def _reload(settings: Settings, running: Running, sockets: tuple[Bound, ...]) -> None:
    """Swap policy and trust roots whole, and certificates; what is wrong leaves the old ones in force."""
    try:
        running.publisher.trust = trust_of(settings)
        for bound in sockets:
            if bound.tls is not None and bound.listen.tls is not None:
                load_certificate(bound.tls, bound.listen.tls)
    except ConfigurationError as error:
        for problem in error.problems:
            log.error("reload refused, the old policy stays in force: %s", problem)  # noqa: TRY400 - the operator's lines
        return
    running.look.set()  # holds are decided again under it
    log.warning("reloaded: policy %s", running.publisher.trust.policy.revision)


@contextmanager
def _only_one(settings: Settings) -> Iterator[None]:
    """One gateway on one SQLite store: a second one would settle publishes that are still under way."""
    path = settings.store_path.with_name(settings.store_path.name + ".serving")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise ConfigurationError(f"{settings.store_path}: another gateway is serving from this store") from error
    else:
        yield
    finally:
        os.close(descriptor)


def _runner() -> Callable[[Any], Any]:
    try:
        import uvloop  # noqa: PLC0415 - absent on some platforms, and a plain loop does
    except ImportError:
        return asyncio.run
    return uvloop.run
