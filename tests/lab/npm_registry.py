"""A registry in this process that speaks npm's protocol and believes everything, as verdaccio nearly does."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.lab.registry import LabRegistry


@dataclass
class NpmRegistry(LabRegistry):
    """What it holds: packuments by name, and the tarballs (`files`) by their path."""

    packuments: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=list)  # as they were put
    bodies: list[bytes] = field(default_factory=list)  # of what was posted

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer as a registry does; scopes come escaped or plain."""
        self.requests.append((request.method, request.raw_path, dict(request.headers)))
        if (misbehave := self.misbehave.get(request.method)) is not None:
            answer = misbehave(request)
            response: web.StreamResponse | None = await answer if hasattr(answer, "__await__") else answer
            if response is not None:
                return response
        path = unquote(request.raw_path.partition("?")[0])
        match request.method, path.split("/")[1:]:
            case "PUT" | "DELETE", ["-", "package", *name, "dist-tags", tag]:
                return self._tag("/".join(name), tag, await request.json() if request.method == "PUT" else None)
            case "PUT", _:
                return self._put(path[1:], await request.json())
            case "POST", ["-", *_]:
                self.bodies.append(await request.read())
                return web.json_response({})
            case _, ["-", "v1", "search"]:
                found = [
                    {"package": {"name": name, "version": packument["dist-tags"]["latest"]}}
                    for name, packument in self.packuments.items()
                ]
                return web.json_response({"objects": found, "total": len(found), "time": "now"})
            case _, ["-", "package", *name, "dist-tags"] if "/".join(name) in self.packuments:
                return web.json_response(self.packuments["/".join(name)]["dist-tags"])
        if path in self.files:
            return web.Response(body=self.files[path], content_type="application/octet-stream")
        if path[1:] in self.packuments:
            return web.json_response(self.packuments[path[1:]])
        return web.json_response({"error": "no such package available"}, status=404)

    def hold(self, name: str, version: str, content: bytes, **dist: Any) -> None:
        """Have a version, however it came."""
        path = f"/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        self.files[path] = content
        packument = self.packuments.setdefault(
            name,
            {"_id": name, "name": name, "_rev": "1-x", "versions": {}, "dist-tags": {}, "time": {}, "_uplinks": {}},
        )
        packument["versions"][version] = {
            "name": name,
            "version": version,
            "dist": {"tarball": f"{self.base}{path}", **dist},
        }
        packument["time"] |= {"modified": "now", version: "then"}
        packument["dist-tags"]["latest"] = version

    def _tag(self, name: str, tag: str, version: str | None) -> web.Response:
        self.packuments[name]["dist-tags"].pop(tag, None)
        if version is not None:
            self.packuments[name]["dist-tags"][tag] = version
        return web.json_response({"ok": "package tagged"}, status=201)

    def _put(self, name: str, document: dict[str, Any]) -> web.Response:
        self.documents.append(json.loads(json.dumps(document)))
        if "_attachments" not in document:  # what it is told of versions; those that are not named are gone
            self.packuments[name] |= {"versions": document["versions"], "dist-tags": document["dist-tags"]}
            self.packuments[name]["_rev"] = f"{len(self.documents)}-y"
            return web.json_response({"ok": "package changed"}, status=201)
        ((_, attachment),) = document["_attachments"].items()
        ((version, manifest),) = document["versions"].items()
        dist = {key: value for key, value in manifest["dist"].items() if key != "tarball"}
        self.hold(name, version, base64.b64decode(attachment["data"]), **dist)
        return web.json_response({"ok": "created new package", "success": True}, status=201)
