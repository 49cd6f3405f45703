"""What an npm registry says of a package (the packument), of its tags and of a search, read and written for a reader.

Versions that a reader may not see are taken out everywhere, tarballs are given the gateway's own address, and what is
the registry's own business (`_uplinks`, `_attachments`) stays there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from gateway import limits
from gateway.ecosystems.npm_document import address
from gateway.ecosystems.npm_signed import signed
from gateway.ecosystems.protocol import Held, View
from gateway.errors import Malformed
from gateway.model.names import npm_canonical, npm_file, npm_name, npm_version
from gateway.strict import json as strict_json
from gateway.strict.json import Json, Object, expect, field

ABOUT: Final = "the registry's document"
_OWN_TIMES: Final = frozenset({"created", "modified"})
INTERNAL: Final = frozenset({"_attachments", "_uplinks", "_distfiles", "_readme"})


def held(base: str, body: bytes) -> tuple[Held, ...]:
    """The versions that a packument lists, each with the path its tarball is served at."""
    packument, name, root = _asked_for(base, body)
    return tuple(
        Held(
            npm_file(name, version),
            npm_canonical(name, version),
            version,
            _path(root, name, version, manifest),
            None,
            tuple(_stated(expect(manifest["dist"], dict, ABOUT))),
        )
        for version, manifest in _versions(packument)
    )


def packument(base: str, body: bytes, view: View) -> bytes | None:
    """A packument for a reader; None where no version of it may be seen."""
    whole, name, root = _asked_for(base, body)
    shown: Object = {}
    for version, manifest in _versions(whole):
        here = _path(root, name, version, manifest) == tarball(name, version)
        if not here or not view.shows(npm_canonical(name, version)):
            continue  # a tarball elsewhere is none that can be asked for here
        dist = signed(name, version, expect(manifest["dist"], dict, ABOUT), view)
        shown[version] = {**manifest, "dist": {**dist, "tarball": view.address + tarball(name, version)}}
    if not shown:
        return None
    kept = {key: value for key, value in whole.items() if key not in INTERNAL} | {"versions": shown}
    if "dist-tags" in whole:
        named = field(whole, "dist-tags", dict, ABOUT)
        kept["dist-tags"] = {tag: version for tag, version in named.items() if version in shown}
    if "time" in whole:
        times = field(whole, "time", dict, ABOUT)
        kept["time"] = {key: at for key, at in times.items() if key in shown or key in _OWN_TIMES}
    return _written(kept)


def tags(name: str, body: bytes, view: View) -> bytes:
    """The tags that lead to a version a reader may see."""
    found = read(body)
    return _written(
        {tag: to for tag, to in found.items() if isinstance(to, str) and view.shows(npm_canonical(name, to))}
    )


def search(body: bytes, view: View) -> bytes:
    """Those results of a search whose version a reader may see."""
    whole = read(body)
    results: list[Json] = []
    for one in field(whole, "objects", list, ABOUT):
        package = field(expect(one, dict, ABOUT), "package", dict, ABOUT)
        name, version = package.get("name"), _latest(package)
        if isinstance(name, str) and isinstance(version, str) and view.shows(npm_canonical(name, version)):
            results.append({**expect(one, dict, ABOUT), "package": package | {"version": version}})
    return _written({**whole, "objects": results, "total": len(results)})


def _latest(package: Object) -> Json:
    """The version that a search speaks of; verdaccio gives it as a tag only."""
    tags = package.get("dist-tags")
    return package.get("version", tags.get("latest") if isinstance(tags, dict) else None)


def found(body: bytes) -> Iterator[str]:
    """The packages that a search found; nobody can ask for one under another name through the gateway."""
    for one in field(read(body), "objects", list, ABOUT):
        try:
            yield npm_name(field(field(expect(one, dict, ABOUT), "package", dict, ABOUT), "name", str, ABOUT))
        except Malformed:
            continue


def dist_of(body: bytes, version: str) -> Object | None:
    """What a packument says of one version's tarball; None where there is no such version."""
    return next((field(one, "dist", dict, ABOUT) for found, one in _versions(read(body)) if found == version), None)


def read(body: bytes) -> Object:
    """Read a document of the registry strictly."""
    return strict_json.parse_object(body, ABOUT, limit=limits.INDEX_PAGE)


def tarball(name: str, version: str) -> str:
    """The path of a version's tarball below a registry's address."""
    return f"/{name}/-/{npm_file(name, version)}"


def _asked_for(base: str, body: bytes) -> tuple[Object, str, str]:
    """A packument, its name, and the registry's address; it must be of the package that `base` asked for.

    Else a registry shows one package as another, and npm installs it: npm's audit takes the name out of the packument.
    """
    whole = read(body)
    name = npm_name(field(whole, "name", str, ABOUT))
    if not base.endswith(address(name)):
        raise Malformed(f"{ABOUT}.name", "another package than was asked for")
    return whole, name, base.removesuffix(address(name))


def _written(value: Object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _versions(packument: Object) -> Iterator[tuple[str, Object]]:
    """The versions that are some, with their manifests; nobody can ask for any other through the gateway."""
    for version, value in (strict_json.optional(packument, "versions", dict, ABOUT) or {}).items():
        try:
            manifest = expect(value, dict, ABOUT)
            field(manifest, "dist", dict, ABOUT)
            yield npm_version(version), manifest
        except Malformed:
            continue


def _stated(dist: Object) -> Iterator[tuple[str, str]]:
    """What the registry says of a tarball's digests."""
    for key in ("integrity", "shasum"):
        if isinstance(value := dist.get(key), str):
            yield key, value


def _path(root: str, name: str, version: str, manifest: Object) -> str:
    """Where the registry serves a tarball, below its address; the usual place, where the address leads elsewhere."""
    usual = tarball(name, version)
    where = expect(manifest["dist"], dict, ABOUT).get("tarball")
    if not isinstance(where, str):
        return usual
    try:
        ours, theirs = urlsplit(root), urlsplit(where)
    except ValueError:
        return usual
    if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc) or not theirs.path.startswith(ours.path):
        return usual
    return quote(unquote(theirs.path[len(ours.path) :]), safe="/@")  # it becomes a request line of ours
