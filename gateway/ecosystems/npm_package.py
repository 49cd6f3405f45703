"""What an npm tarball says of itself: its `package.json`, and what a registry's copy of that must agree with.

A registry serves the publish document's copy of the manifest, an installer unpacks the tarball's: where the two differ
(manifest confusion), what was reviewed is not what runs. npm itself rewrites a manifest before it publishes; both sides
are brought into the form that it writes, and then compared.

Sources: npm's package.json documentation; `@npmcli/package-json`, steps `prepare` and `normalize`.
"""

from __future__ import annotations

import json
import posixpath
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway import limits
from gateway.errors import Malformed
from gateway.model.names import npm_name, npm_version
from gateway.strict import json as strict_json
from gateway.strict.archive import read_tar_gz

SOURCE: Final = "package.json"
_DEPENDENCIES: Final = ("dependencies", "optionalDependencies", "devDependencies", "peerDependencies")
_BIN_FOLDER: Final = re.compile(r"^(?:\.[/\\])?node_modules[/\\]\.bin[\\/]")
_GITHUB: Final = re.compile(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Package:
    """One tarball by its own word. `said` holds, per field, what it comes to for whoever installs it, as one text.

    `implied` are the scripts that npm adds because of files that are in the tarball.
    """

    name: str
    version: str
    said: Mapping[str, str]
    implied: Mapping[str, str]
    files: frozenset[str]


def read_package(handle: BinaryIO) -> Package:
    """Read a tarball from a seekable handle; raises `Malformed` or `TooLarge`."""
    index = read_tar_gz(handle, "tarball", keep=_is_manifest, limit=limits.ARCHIVE_METADATA)
    if index.links:
        raise Malformed("tarball", f"{min(index.links)[:200]!r} is a link, which npm does not unpack")
    tops = {path.partition("/")[0] if "/" in path else "" for path in index.files}
    if len(tops) != 1 or "" in tops:
        raise Malformed("tarball", "not everything is in one folder at the top, which npm takes off")
    (top,) = tops
    inside = frozenset(path.removeprefix(f"{top}/") for path in index.files)
    same = [path for path in inside if _folded(path) == SOURCE]
    if same != [SOURCE]:
        raise Malformed("tarball", f"expected exactly one {SOURCE!r}, got {len(same)} under any spelling")
    manifest = strict_json.parse_object(index.kept[f"{top}/{SOURCE}"], SOURCE, limit=limits.ARCHIVE_METADATA)
    refuse_proto(manifest, SOURCE)
    name = npm_name(strict_json.field(manifest, "name", str, SOURCE))
    version = npm_version(strict_json.field(manifest, "version", str, SOURCE))
    return Package(name, version, _said(manifest, inside), _implied(manifest, inside), inside)


def said_by_copy(manifest: Mapping[str, strict_json.Json], package: Package) -> Mapping[str, str]:
    """What a registry's copy of a package's manifest comes to; raises `Malformed`.

    Scripts that are just what the tarball's files imply are left out. What npm would have dropped is refused here: it
    would be compared with nothing, and stand in the registry.
    """
    for field in (*_DEPENDENCIES, "scripts"):
        value = manifest.get(field) or {}
        if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
            raise Malformed(f"the document's manifest: {field}", "not an object of texts")
    scripts = _texts(manifest, "scripts")
    kept = {name: text for name, text in scripts.items() if package.implied.get(name) != text}
    return _said({**manifest, "scripts": dict(kept)}, package.files)


def _said(manifest: Mapping[str, strict_json.Json], files: frozenset[str]) -> dict[str, str]:
    """What a manifest comes to, field by field, in the form that npm publishes; raises `Malformed`."""
    values: dict[str, strict_json.Json] = {field: _specs(manifest, field) for field in _DEPENDENCIES}
    plain, optional = strict_json.expect(values["dependencies"], dict, SOURCE), values["optionalDependencies"]
    bundled = _bundled(manifest, plain)
    # npm drops from `dependencies` what is optional, and adds what is bundled and not there.
    values["dependencies"] = dict.fromkeys(bundled, "*") | plain | strict_json.expect(optional, dict, SOURCE)
    values["bundleDependencies"] = list[strict_json.Json](bundled)
    values["peerDependenciesMeta"] = manifest.get("peerDependenciesMeta") or {}
    values["bin"] = _bin(manifest, files)
    scripts = _texts(manifest, "scripts")
    values["scripts"] = {name: _BIN_FOLDER.sub("", text) for name, text in scripts.items()}
    return {field: json.dumps(value, sort_keys=True, separators=(",", ":")) for field, value in values.items()}


def refuse_proto(value: strict_json.Json, about: str) -> None:
    """Refuse a key that JavaScript may take for an object's prototype, at any depth (which the reader has bounded)."""
    if isinstance(value, dict):
        if "__proto__" in value:
            raise Malformed(about, "the key __proto__")
        for one in value.values():
            refuse_proto(one, about)
    elif isinstance(value, list):
        for one in value:
            refuse_proto(one, about)


def _is_manifest(path: str) -> bool:
    return path.count("/") == 1 and path.endswith(f"/{SOURCE}")


def _folded(path: str) -> str:
    return path.casefold() if path.isascii() else unicodedata.normalize("NFKC", path).casefold()


def _texts(manifest: Mapping[str, strict_json.Json], field: str) -> dict[str, str]:
    """An object's texts; npm takes out what is none, and so no reader of what it wrote sees that."""
    value = manifest.get(field)
    if not value or not isinstance(value, dict):
        if value and field != "scripts":
            raise Malformed(f"{SOURCE}: {field}", "not an object")
        return {}
    return {name: text for name, text in value.items() if isinstance(text, str)}


def _specs(manifest: Mapping[str, strict_json.Json], field: str) -> dict[str, strict_json.Json]:
    texts = _texts(manifest, field)
    return {name: f"github:{text}" if _GITHUB.fullmatch(text) else text for name, text in texts.items()}


def _bundled(manifest: Mapping[str, strict_json.Json], dependencies: Mapping[str, strict_json.Json]) -> list[str]:
    value = manifest.get("bundleDependencies", manifest.get("bundledDependencies"))
    if value is True:
        return sorted(dependencies)
    if isinstance(value, dict):
        return sorted(value)
    return sorted({name for name in value if isinstance(name, str)}) if isinstance(value, list) else []


def _bin(manifest: Mapping[str, strict_json.Json], files: frozenset[str]) -> dict[str, strict_json.Json]:
    """The commands that are put on a user's path: each one's name and the file that runs."""
    value, name = manifest.get("bin"), manifest.get("name")
    if isinstance(value, str) and isinstance(name, str):
        value = {name: value}
    elif isinstance(value, list):
        value = {posixpath.basename(text): text for text in value if isinstance(text, str)}
    found = {
        posixpath.basename(_inside(key)): _inside(text)
        for key, text in (value.items() if isinstance(value, dict) else ())
        if isinstance(text, str)
    }
    folders = manifest.get("directories")
    folder = folders.get("bin") if isinstance(folders, dict) else None
    if not value and isinstance(folder, str):
        below = _inside(folder) + "/"
        found = {posixpath.basename(path): path for path in files if path.startswith(below) and "/." not in path}
    return {key: text for key, text in sorted(found.items()) if key and text}


def _inside(path: str) -> str:
    """A path as npm makes it safe: below the package, without `.` and `..`."""
    return posixpath.normpath("/" + re.sub(r"[\\:]", "/", path)).lstrip("/")


def _implied(manifest: Mapping[str, strict_json.Json], files: frozenset[str]) -> dict[str, str]:
    scripts = _texts(manifest, "scripts")
    added = {}
    gyp = any("/" not in path and path.endswith(".gyp") for path in files)
    if gyp and not {"install", "preinstall"} & set(scripts) and manifest.get("gypfile") is not False:
        added["install"] = "node-gyp rebuild"
    if "server.js" in files and "start" not in scripts:
        added["start"] = "node server.js"
    return added
