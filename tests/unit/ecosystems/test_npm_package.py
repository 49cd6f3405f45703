"""What a tarball says of itself, and a registry's copy of its manifest: npm's rewriting agrees, all else differs."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from gateway.ecosystems.npm_package import Package, read_package, said_by_copy
from gateway.errors import Malformed
from tests.lab.npm import MANIFEST, NpmPackage, npm_package, tarball


def read(package: NpmPackage) -> Package:
    return read_package(io.BytesIO(package.content))


def differs(package: NpmPackage, copy: dict[str, Any]) -> set[str]:
    """The fields in which a copy of the manifest comes to something else."""
    found = read(package)
    said = said_by_copy(copy, found)
    return {field for field, value in found.said.items() if said[field] != value}


def test_a_package_tells_its_name_and_version() -> None:
    found = read(npm_package())
    assert (found.name, found.version) == ("@acme/widget", "1.0.0")
    assert found.files == {"package.json", "index.js"}


@pytest.mark.parametrize("top", ["package", "widget", "acme-widget-1.0.0", "Package"])
def test_the_folder_at_the_top_may_have_any_name(top: str) -> None:
    content = tarball({f"{top}/package.json": json.dumps(MANIFEST).encode(), f"{top}/a/package.json": b"{"})
    assert read_package(io.BytesIO(content)).name == "@acme/widget"


GOOD = json.dumps(MANIFEST).encode()


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"package.json": GOOD},
        {"package/index.js": b""},
        {"package/package.json": GOOD, "other/index.js": b""},
        {"package/package.json": GOOD, "index.js": b""},
        {"package/package.json": GOOD, "package/Package.json": GOOD},
        {"package/Package.json": GOOD},
        {"package/package.json": GOOD, "package/package\uff0ejson": GOOD},
        {"package/a/package.json": GOOD},
        {"package/../package.json": GOOD},
        {"/package/package.json": GOOD},
        {"package/package.json": b"{}"},
        {"package/package.json": b"[]"},
        {"package/package.json": b"{"},
        {"package/package.json": b'\xef\xbb\xbf{"name":"a","version":"1.0.0"}'},
        {"package/package.json": b'{"name":"a","name":"b","version":"1.0.0"}'},
        {"package/package.json": b'{"name":"a","version":"1.0.0","__proto__":{}}'},
        {"package/package.json": b'{"name":"a","version":"1.0.0","x":[{"__proto__":{}}]}'},
        {"package/package.json": b'{"name":"Acme","version":"1.0.0"}'},
        {"package/package.json": b'{"name":"../a","version":"1.0.0"}'},
        {"package/package.json": b'{"name":1,"version":"1.0.0"}'},
        {"package/package.json": b'{"name":"a","version":"v1.0.0"}'},
        {"package/package.json": b'{"name":"a","version":"1.0.0+build"}'},
        {"package/package.json": b'{"name":"a","version":"1.0"}'},
        {"package/package.json": b'{"name":"a","version":"1.0.0","dependencies":["b"]}'},
    ],
)
def test_a_tarball_that_two_readers_could_read_differently_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(Malformed):
        read_package(io.BytesIO(tarball(files)))


@pytest.mark.parametrize("target", ["index.js", "../../etc/passwd", "/etc/passwd"])
def test_a_link_is_refused(target: str) -> None:
    content = tarball({"package/package.json": GOOD, "package/index.js": b""}, {"package/link": target})
    with pytest.raises(Malformed):
        read_package(io.BytesIO(content))


@pytest.mark.parametrize(
    ("own", "copy"),
    [
        ({"bin": "./cli.js"}, {"bin": {"widget": "cli.js"}}),
        ({"bin": {"w": "./bin/../cli.js"}}, {"bin": {"w": "cli.js"}}),
        ({"bin": {"w": "../../cli.js"}}, {"bin": {"w": "cli.js"}}),
        ({"scripts": {"test": "node_modules/.bin/jest"}}, {"scripts": {"test": "jest"}}),
        ({"scripts": {"test": "./node_modules/.bin/jest"}}, {"scripts": {"test": "jest"}}),
        ({"scripts": {"test": 1}}, {"scripts": {}}),
        ({"scripts": None}, {"scripts": {}}),
        ({"dependencies": {"a": "1"}, "optionalDependencies": {"b": "2"}},
         {"dependencies": {"a": "1", "b": "2"}, "optionalDependencies": {"b": "2"}}),
        ({"dependencies": {"a": "1", "b": "2"}, "optionalDependencies": {"b": "2"}},
         {"dependencies": {"a": "1"}, "optionalDependencies": {"b": "2"}}),
        ({"dependencies": {"a": "1"}, "bundleDependencies": True},
         {"dependencies": {"a": "1"}, "bundleDependencies": ["a"]}),
        ({"dependencies": {"a": "1"}, "bundledDependencies": ["a"]},
         {"dependencies": {"a": "1"}, "bundleDependencies": ["a"]}),
        ({"bundleDependencies": False}, {"bundleDependencies": []}),
        ({"dependencies": {}, "bundleDependencies": ["a"]}, {"dependencies": {"a": "*"}, "bundleDependencies": ["a"]}),
        ({"dependencies": {"a": "acme/a"}}, {"dependencies": {"a": "github:acme/a"}}),
        ({"dependencies": []}, {"dependencies": {}}),
    ],
)  # fmt: skip
def test_what_npm_rewrites_agrees(own: dict[str, Any], copy: dict[str, Any]) -> None:
    assert differs(npm_package(**own), MANIFEST | copy) == set()


@pytest.mark.parametrize(
    ("files", "own", "copy"),
    [
        ({"binding.gyp": b""}, {}, {"scripts": {"test": "node test.js", "install": "node-gyp rebuild"}}),
        ({"binding.gyp": b""}, {}, {}),  # pnpm and yarn add nothing
        ({"server.js": b""}, {}, {"scripts": {"test": "node test.js", "start": "node server.js"}}),
        ({"bin/a": b"", "bin/b/c": b""}, {"bin": None, "directories": {"bin": "./bin"}},
         {"bin": {"a": "bin/a", "c": "bin/b/c"}}),
    ],
)  # fmt: skip
def test_what_npm_adds_for_files_in_the_tarball_agrees(
    files: dict[str, bytes], own: dict[str, Any], copy: dict[str, Any]
) -> None:
    assert differs(npm_package(files, **own), MANIFEST | copy) == set()


@pytest.mark.parametrize(
    ("files", "copy", "field"),
    [
        ({}, {"dependencies": {"left-pad": "^1.3.1"}}, "dependencies"),
        ({}, {"dependencies": {}}, "dependencies"),
        ({}, {"dependencies": {"left-pad": "^1.3.0", "evil": "1"}}, "dependencies"),
        ({}, {"devDependencies": {"evil": "1"}}, "devDependencies"),
        ({}, {"peerDependencies": {"evil": "1"}}, "peerDependencies"),
        ({}, {"peerDependenciesMeta": {"evil": {"optional": True}}}, "peerDependenciesMeta"),
        ({}, {"scripts": {}}, "scripts"),
        ({}, {"scripts": {"test": "node test.js", "postinstall": "node evil.js"}}, "scripts"),
        ({}, {"scripts": {"test": "node test.js", "install": "node-gyp rebuild"}}, "scripts"),
        ({"a/binding.gyp": b""}, {"scripts": {"test": "node test.js", "install": "node-gyp rebuild"}}, "scripts"),
        ({"binding.gyp": b""}, {"scripts": {"test": "node test.js", "install": "node-gyp rebuild; evil"}}, "scripts"),
        ({}, {"scripts": {"test": "node test.js", "start": "node server.js"}}, "scripts"),
        ({}, {"bin": {}}, "bin"),
        ({}, {"bin": {"widget": "evil.js"}}, "bin"),
        ({}, {"bin": {"node": "cli.js"}}, "bin"),
        ({}, {"bundleDependencies": ["left-pad"]}, "bundleDependencies"),
    ],
)
def test_a_copy_that_says_something_else_differs_in_that_field(
    files: dict[str, bytes], copy: dict[str, Any], field: str
) -> None:
    assert differs(npm_package(files), MANIFEST | copy) == {field}


def test_an_optional_dependency_is_not_a_plain_one() -> None:
    package = npm_package(dependencies={}, optionalDependencies={"a": "1"})
    assert differs(package, MANIFEST | {"dependencies": {"a": "1"}}) == {"optionalDependencies"}


@pytest.mark.parametrize(
    "copy",
    [
        {"dependencies": {"evil": {"version": "1"}}},
        {"dependencies": ["evil"]},
        {"dependencies": "evil"},
        {"scripts": {"postinstall": ["evil"]}},
        {"scripts": "evil"},
    ],
)
def test_a_copy_that_says_nothing_readable_is_refused(copy: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        said_by_copy(MANIFEST | copy, read(npm_package()))
