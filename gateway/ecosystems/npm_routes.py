"""What a request to an npm registry is, by its method and path alone; what is not recognised is refused.

A scope's slash comes escaped (`/@acme%2fwidget`, from npm) and plain (`/@acme/widget/-/...`, in tarballs' addresses and
in `npm unpublish`): both name one package. Writes that change more than a publish are recognised in order to be refused
in clear words.

Sources: npm 11's commands and their libraries; FACTS-PYPI-NPM 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from gateway import limits
from gateway.ecosystems.npm_document import address
from gateway.ecosystems.npm_login import REMEDY, read_login
from gateway.ecosystems.npm_packument import tarball
from gateway.ecosystems.protocol import Head, Route, Verb
from gateway.errors import Malformed
from gateway.model.names import npm_canonical, npm_name, npm_version, purl
from gateway.reasons import Code, Reason

ABBREVIATED: Final = "application/vnd.npm.install-v1+json"
FULL: Final = "application/json"
SEARCH: Final = "/-/v1/search"
KEYS: Final = "/-/npm/v1/keys"
_READS: Final = frozenset({"GET", "HEAD"})
_UNKNOWN: Final = Route(Verb.UNKNOWN)
_AUDITS: Final = frozenset({"advisories/bulk", "audits", "audits/quick"})
LOGOUT: Final = "/-/user/token"
_USER: Final = "org.couchdb.user:"
_STAGE: Final = "Publish with npm publish: what is staged could change after it was verified."
_REV: Final = "Publish a new version, and deprecate this one; who may publish is said by the gateway's tokens."
_PUBLISHER: Final = "Ask the operator; who may publish is said by the gateway's tokens and its policy."


def route(head: Head) -> Route:
    """Recognise a request."""
    if head.method not in _READS:
        return _recognised(head)
    accept = ABBREVIATED if ABBREVIATED in (head.header("accept") or "") else FULL
    return _read(head.method, head.path, head.query, accept)


@lru_cache(maxsize=limits.PATHS_REMEMBERED)
def _read(method: str, path: str, query: str, accept: str) -> Route:
    """Recognise a read by all that counts of it: the same few are asked for again and again."""
    return _recognised(Head(method, path, query, (("accept", accept),)))


def _recognised(head: Head) -> Route:
    if not head.path.isascii():
        return _UNKNOWN
    match unquote(head.path).split("/")[1:]:
        case ["-", *rest] if rest:
            return _service(head, rest)
        case [scope, base, *rest] if scope.startswith("@"):
            return _package(head, f"{scope}/{base}", rest)
        case [name, *rest]:
            return _package(head, name, rest)
        case _:
            return _UNKNOWN


def package_of(path: str) -> str:
    """The package that a publish's path names; raises `Malformed`."""
    return npm_name(unquote(path)[1:])


def tag_of(path: str) -> tuple[str, str]:
    """The package and the tag that a mutation's path names; raises `Malformed`."""
    *name, _, tag = unquote(path).removeprefix("/-/package/").split("/")
    return npm_name("/".join(name)), tag


def _package(head: Head, name: str, rest: list[str]) -> Route:
    try:
        package = purl("npm", name)
    except Malformed:
        return _UNKNOWN
    reads = head.method in _READS
    match rest:
        case [] if reads and head.query in {"", "write=true"}:
            accept = head.header("accept") or FULL
            return Route(Verb.READ, address(name), package=package, document=True, accept=accept)
        case [] if head.method == "PUT" and not head.query:
            return Route(Verb.PUBLISH, package=package)
        case ["-", file_name] if reads and not head.query:
            return _tarball(name, package, file_name)
        case ["-rev", _] | ["-", _, "-rev", _] if not reads:
            return _refused("npm unpublish or npm owner", _REV)
    return _UNKNOWN


def _tarball(name: str, package: str, file_name: str) -> Route:
    base = name.rpartition("/")[2]
    if not file_name.startswith(f"{base}-") or not file_name.endswith(".tgz"):
        return _UNKNOWN
    try:
        version = npm_version(file_name[len(base) + 1 : -len(".tgz")])
    except Malformed:
        return _UNKNOWN
    return Route(Verb.READ, tarball(name, version), package=package, file=npm_canonical(name, version))


def _service(head: Head, rest: list[str]) -> Route:
    reads = head.method in _READS
    match rest:
        case ["ping" | "whoami"] | ["npm", "v1", "keys"] if reads:
            return Route(Verb.OWN, f"/-/{'/'.join(rest)}")
        case ["npm", "v1", "attestations", *named] | ["provenance", *named] if reads:
            return _proofs(named, public=rest[0] == "npm")
        case ["v1", "search"] if reads:
            path = f"{SEARCH}?{head.query}" if head.query else SEARCH
            return Route(Verb.READ, path, document=True, accept=FULL)
        case ["npm", "v1", "security", *kind] if head.method == "POST" and "/".join(kind) in _AUDITS:
            return Route(Verb.READ, f"/-/{'/'.join(rest)}", posted=True)
        case ["package", *named]:
            return _named(head, named)
        case ["user", user] if head.method == "PUT" and user.startswith(_USER):
            return Route(Verb.OWN, "/-/user", login=read_login)
        case ["user", "token", _] if head.method == "DELETE":
            return Route(Verb.OWN, LOGOUT)
        case _:
            return _of_the_registry(rest, reads=reads)


def _of_the_registry(rest: list[str], *, reads: bool) -> Route:
    """What an account of the registry's is asked or told: here it is the gateway's tokens that count."""
    match rest:
        case ["user", *_] if reads:
            return _refused("npm owner and npm access", _PUBLISHER)
        case ["v1", "login", *_]:  # a 404 has npm and pnpm ask for a name and a password instead
            return Route(Verb.UNKNOWN, problem=Reason(Code.NOT_FOUND, "login in a browser", remedy=REMEDY))
        case ["user", *_]:
            return _refused("npm login", REMEDY)
        case ["stage", *_]:
            return _refused("npm stage", _STAGE)
        case ["npm", "v1", "tokens" | "user" | "hooks", *_]:
            return _refused("npm token, npm profile and npm hook", _PUBLISHER)
        case ["org" | "team", *_]:
            return _refused("npm org, npm team and npm access", _PUBLISHER)
        case ["_view", "starredByUser"]:
            return _refused("npm stars", "There are none: npm star is refused too.")
        case _:
            return _UNKNOWN


def _proofs(named: list[str], *, public: bool) -> Route:
    """The bundles of one version, `<name>@<version>`: who may read its packument may read them."""
    name, at, version = "/".join(named).rpartition("@")
    try:
        package, canonical = purl("npm", name), npm_canonical(name, npm_version(version))
    except Malformed:
        return _UNKNOWN
    if not at:
        return _UNKNOWN
    return Route(Verb.READ, address(name), package=package, document=True, accept=FULL, proved=canonical, public=public)


def _named(head: Head, named: list[str]) -> Route:
    """What is asked of one package under `/-/package/`."""
    scoped = bool(named) and named[0].startswith("@")
    name, rest = "/".join(named[: 1 + scoped]), named[1 + scoped :]
    try:
        package = purl("npm", name)
    except Malformed:
        return _UNKNOWN
    match rest:
        case ["dist-tags"] if head.method in _READS:
            path = f"/-/package{address(name)}/dist-tags"
            return Route(Verb.READ, path, package=package, document=True, accept=FULL)
        case ["dist-tags", _] if head.method in {"PUT", "DELETE"} and not head.query:
            return Route(Verb.MUTATE, package=package)
        case ["trust", *_]:
            return _refused("npm trust", _PUBLISHER)
        case ["access" | "collaborators" | "visibility", *_]:
            return _refused("npm access", _PUBLISHER)
        case _:
            return _UNKNOWN


def _refused(what: str, remedy: str) -> Route:
    return Route(Verb.UNKNOWN, problem=Reason(Code.OPERATION_REFUSED, what, remedy=remedy))
