"""A registry in this process that speaks pypiserver's protocol, notes every request, and misbehaves on request."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Misbehaviour = Callable[[web.Request], Any]  # called before a request is answered; may answer it itself


@dataclass
class LabRegistry:
    """What the registry holds and what it was asked. `misbehave` maps `METHOD` to what happens instead."""

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    forms: list[list[tuple[str, str]]] = field(default_factory=list)
    misbehave: dict[str, Misbehaviour] = field(default_factory=dict)
    truncate: int | None = None  # keep only so many bytes of the next upload, as pypiserver does of a cut one
    pages: dict[str, bytes] = field(default_factory=dict)  # what a project's page is instead
    base: str = ""
    site: web.TCPSite | None = None

    @property
    def writes(self) -> list[tuple[str, str, dict[str, str]]]:
        """The requests that were no reads."""
        return [request for request in self.requests if request[0] not in {"GET", "HEAD"}]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as pypiserver does."""
        self.requests.append((request.method, request.path_qs, dict(request.headers)))
        if (misbehave := self.misbehave.get(request.method)) is not None:
            answer = misbehave(request)
            response: web.StreamResponse | None = await answer if hasattr(answer, "__await__") else answer
            if response is not None:
                return response
        if request.method == "POST" and request.path == "/":
            return await self._write(request)
        match request.path.split("/")[1:]:
            case ["simple", ""]:
                names = {name.split("-")[0].replace("_", "-").lower() for name in self.files}
                return _html("".join(f'<a href="{name}/">{name}</a><br>' for name in sorted(names)))
            case ["simple", project, ""]:
                return self._project(project)
            case ["packages", name] if name in self.files:
                return web.Response(body=self.files[name], content_type="application/octet-stream")
        return web.Response(status=404, text="404")

    async def stop_listening(self) -> None:
        """Take no further connection; those that are open stay."""
        site, self.site = self.site, None
        if site is not None:
            await site.stop()

    def _project(self, project: str) -> web.Response:
        if project in self.pages:
            return web.Response(body=self.pages[project], content_type="text/html")
        mine = [name for name in self.files if name.split("-")[0].replace("_", "-").lower() == project]
        if not mine:
            return web.Response(status=404, text="404")
        digests = {name: hashlib.sha256(self.files[name]).hexdigest() for name in mine}
        rows = (f'<a href="/packages/{name}#sha256={digests[name]}">{name}</a><br>' for name in sorted(mine))
        return _html("".join(rows))

    async def _write(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.forms.append([(k, v.filename if isinstance(v, web.FileField) else str(v)) for k, v in form.items()])
        if form[":action"] == "remove_pkg":
            name, version = str(form["name"]), str(form["version"])
            gone = [file for file in self.files if file.startswith(f"{name}-{version}")]
            for file in gone:
                del self.files[file]
            return web.Response(status=200 if gone else 404)
        content = form["content"]
        assert isinstance(content, web.FileField)
        if content.filename in self.files:
            return web.Response(status=409, text="exists")
        kept = content.file.read()
        self.files[content.filename] = kept if self.truncate is None else kept[: self.truncate]
        if self.truncate is not None:
            self.truncate = None
            assert request.transport is not None
            request.transport.abort()
        return web.Response()


def _html(body: str) -> web.Response:
    return web.Response(text=f"<!DOCTYPE html><html><body>{body}</body></html>", content_type="text/html")


@asynccontextmanager
async def lab_registry(kind: type[LabRegistry] = LabRegistry) -> AsyncIterator[LabRegistry]:
    """Run one on a port of the kernel's choice."""
    registry = kind()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{path:.*}", registry.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    registry.site = site
    registry.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield registry
    finally:
        await runner.cleanup()
