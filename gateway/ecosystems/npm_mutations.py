"""npm's mutations: `npm dist-tag` moves or takes away a tag, `npm deprecate` sends the whole document back.

A tag decides what people install who name no version. So it is led only to a version that the gateway answers for:
published through it, or there before it and vouched for by the operator (`provgate npm sign-existing`).

A deprecation is compared with the document as the gateway would show it now. What the registry gets is its own
document, fetched a moment ago, with nothing but the deprecations changed.

Sources: npm's `dist-tag.js` and `deprecate.js`; verdaccio's `changePackage`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from gateway import limits
from gateway.ecosystems import npm_packument, npm_routes
from gateway.ecosystems.npm_body import ABOUT
from gateway.ecosystems.npm_document import address
from gateway.ecosystems.npm_package import refuse_proto
from gateway.ecosystems.npm_signed import answered_for
from gateway.ecosystems.protocol import Change, Head, Refused, Reply, View, Write
from gateway.errors import Malformed
from gateway.model.mutation import Mutation
from gateway.model.names import npm_canonical, npm_tag, npm_version, purl
from gateway.reasons import Code, Reason, one_line
from gateway.strict import json as strict_json
from gateway.strict.json import Json, Object, expect, field

_DONE: Final = Reply(201, "Created", b'{"ok":true,"success":true}', (("Content-Type", "application/json"),))
_HEADERS: Final = (("Content-Type", "application/json"), ("Accept", "application/json"))
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TAGGED: Final = "a version that was published through the gateway, or signed with provgate npm sign-existing"
_AGAIN: Final = "The package was changed meanwhile; run the command again."
_ONLY: Final = "nothing changed but deprecated of versions"


def tagging(head: Head, body: bytes) -> Change | Refused:
    """Read `npm dist-tag add` or `rm`."""
    try:
        name, tag = npm_routes.tag_of(head.path)
        npm_tag(tag)
        if head.method == "PUT":
            text = strict_json.parse(body, "the version", limit=limits.MUTATION_BODY)
            return _added(name, tag, npm_version(expect(text, str, "the version")))
    except Malformed as error:
        return Refused((Reason(Code.UPLOAD_MALFORMED, error.about, got=error.problem),))
    mutation = _mutation(name, f"npm dist-tag rm {name} {tag}")
    if tag == "latest":
        remedy = "Move it instead: npm dist-tag add PACKAGE@VERSION latest."
        return Refused((Reason(Code.OPERATION_REFUSED, "npm dist-tag rm latest", remedy=remedy),), mutation)
    return _removed(mutation, tag)


def deprecation(path: str, whole: Object) -> Change | Refused:
    """Read `npm deprecate`: a document without a tarball."""
    if "versions" not in whole:
        what = "npm star" if "users" in whole else "a document without a tarball"
        return Refused((Reason(Code.OPERATION_REFUSED, what, "npm publish or npm deprecate"),))
    try:
        refuse_proto(whole, ABOUT)
        name, texts = npm_routes.package_of(path), _deprecated(whole)
    except Malformed as error:
        return Refused((Reason(Code.UPLOAD_MALFORMED, error.about, got=error.problem),))
    then = ", ".join(texts) or "none"
    mutation = _mutation(name, one_line(f"npm deprecate {name}, so that these are deprecated: {then}", 400))

    def forward(base: str, body: bytes, view: View) -> Write | Refused:
        shown = npm_packument.packument(base, body, view)
        if shown is None:
            return Refused((Reason(Code.NOT_FOUND, name),))
        fresh = npm_packument.read(shown)
        before = _deprecated(fresh)
        other = next(_differences(_compared(whole), _compared(fresh), ""), None)
        if other is not None or not (before or texts):
            got = f"{other} changed" if other else "no version deprecated"
            remedy = _AGAIN if other == "_rev" else ""
            return Refused((Reason(Code.OPERATION_REFUSED, "npm deprecate", _ONLY, got, remedy),))
        after = {version: text for version, text in texts.items() if before.get(version) != text}
        if bad := next((version for version, text in after.items() if not _is_text(text)), None):
            expected = f"at most {limits.DEPRECATION} characters, and no control characters"
            return Refused((Reason(Code.UPLOAD_MALFORMED, f"deprecated of {bad}", expected),))
        taken_back: Object = {version: "" for version in before if version not in texts}
        return _put(address(name), _deprecating(npm_packument.read(body), after | taken_back))

    return Change(mutation, forward, _DONE)


def _added(name: str, tag: str, version: str) -> Change:
    what = f"npm dist-tag add {name}@{version} {tag}"

    def forward(base: str, body: bytes, view: View) -> Write | Refused:  # noqa: ARG001 - no address matters here
        canonical = npm_canonical(name, version)
        dist = npm_packument.dist_of(body, version)
        if dist is None or not view.shows(canonical):
            return Refused((Reason(Code.NOT_FOUND, canonical),))
        if answered_for(canonical, dist, view) is None:
            return Refused((Reason(Code.OPERATION_REFUSED, what, _TAGGED, "one that nobody vouches for"),))
        return _put(_tag_address(name, tag), version)

    return Change(_mutation(name, what), forward, _DONE)


def _removed(mutation: Mutation, tag: str) -> Change:
    name = mutation.name

    def forward(base: str, body: bytes, view: View) -> Write | Refused:  # noqa: ARG001 - no version is led to
        if tag not in field(npm_packument.read(body), "dist-tags", dict, npm_packument.ABOUT):
            return Refused((Reason(Code.NOT_FOUND, f"{name}, tag {tag}"),))
        return Write("DELETE", _tag_address(name, tag), _HEADERS[1:], b"", b"", 0)

    return Change(mutation, forward, _DONE)


def _mutation(name: str, what: str) -> Mutation:
    return Mutation(purl("npm", name), name, what)


def _tag_address(name: str, tag: str) -> str:
    return f"/-/package{address(name)}/dist-tags/{tag}"


def _put(path: str, value: Json) -> Write:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Write("PUT", path, _HEADERS, body, b"", len(body))


# --- npm deprecate -------------------------------------------------------------------------------------------------


def _deprecated(whole: Object) -> Object:
    """What is said of each version that is deprecated; an empty text takes a deprecation back."""
    versions = field(whole, "versions", dict, ABOUT)
    said = {version: expect(one, dict, f"{ABOUT}: versions").get("deprecated") for version, one in versions.items()}
    return {version: text for version, text in said.items() if text}


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and len(value) <= limits.DEPRECATION and _CONTROL.search(value) is None


def _compared(whole: Object) -> Object:
    """A document without what may differ: deprecations, and the signatures that are made for each reader."""
    found: Object = {key: value for key, value in whole.items() if key != "_attachments" or value != {}}
    versions: Object = {}
    for version, value in field(whole, "versions", dict, ABOUT).items():
        manifest = {key: one for key, one in expect(value, dict, ABOUT).items() if key != "deprecated"}
        if isinstance(dist := manifest.get("dist"), dict):
            manifest["dist"] = {key: one for key, one in dist.items() if key != "signatures"}
        versions[version] = manifest
    return found | {"versions": versions}


def _differences(given: Json, fresh: Json, at: str) -> Iterator[str]:
    """Where two documents differ, as a path."""
    if not isinstance(given, dict) or not isinstance(fresh, dict):
        if given != fresh:
            yield at
        return
    for key in sorted(given.keys() | fresh.keys()):
        here = f"{at}.{key}" if at else key
        if key not in given or key not in fresh:
            yield here
        else:
            yield from _differences(given[key], fresh[key], here)


def _deprecating(registry: Object, texts: Object) -> Object:
    """The registry's own document with these deprecations."""
    versions: Object = {}
    for version, manifest in field(registry, "versions", dict, ABOUT).items():
        text: Object = {"deprecated": texts[version]} if version in texts else {}
        versions[version] = expect(manifest, dict, ABOUT) | text
    kept = {key: value for key, value in registry.items() if key not in npm_packument.INTERNAL}
    return kept | {"versions": versions}
