"""Reading npm's mutations: what is one, what it is called, and what the registry would get."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from gateway.ecosystems.npm_mutations import deprecation, tagging
from gateway.ecosystems.protocol import Change, Head, Refused, View, Write
from gateway.model.vouched import Vouched

BASE: Final = "http://registry.example/@acme%2fwidget"
SEEN: Final = View(address="http://registry.example")


def document(old: str | None = None, new: str | None = None) -> dict[str, Any]:
    """A registry's document with two versions, 1.0.0 and 1.1.0, deprecated with these texts."""
    said = {"1.0.0": old, "1.1.0": new}
    return {
        "_id": "@acme/widget",
        "name": "@acme/widget",
        "_rev": "1-x",
        "dist-tags": {"latest": "1.1.0"},
        "versions": {
            version: {"name": "@acme/widget", "version": version, "dist": {"tarball": tarball(version)}}
            | ({"deprecated": text} if text else {})
            for version, text in said.items()
        },
    }


def tarball(version: str) -> str:
    return f"http://registry.example/@acme/widget/-/widget-{version}.tgz"


def given(change: Change | Refused, whole: Any, view: View | None = None) -> Write | Refused:
    """What the registry would get, as its document stands."""
    assert isinstance(change, Change)
    seen = view or View(address="http://registry.example", vouched={"@acme/widget@1.0.0": vouched()})
    return change.forward(BASE, json.dumps(whole).encode(), seen)


def vouched() -> Vouched:
    return Vouched("0" * 64, "1" * 128)


def tag(method: str, name: str, body: bytes = b'"1.0.0"') -> Change | Refused:
    return tagging(Head(method, f"/-/package/@acme%2fwidget/dist-tags/{name}"), body)


@pytest.mark.parametrize("name", ["latest", "next", "v17-lts", "1-lts", "beta.2", "legacy_x", "x-ray", "2fa"])
def test_a_name_is_a_tag(name: str) -> None:
    change = tag("PUT", name)
    assert isinstance(change, Change)
    assert change.mutation.what == f"npm dist-tag add @acme/widget@1.0.0 {name}"
    assert change.mutation.purl == "pkg:npm/%40acme/widget"
    write = given(change, document())
    assert isinstance(write, Write)
    assert (write.method, write.path) == ("PUT", f"/-/package/@acme%2fwidget/dist-tags/{name}")
    assert (write.head, write.length) == (b'"1.0.0"', 7)


@pytest.mark.parametrize(
    "name",
    ["1", "1.0", "1.0.0", "v1", "V2.x", "x", "X.1", "1.0.0-rc.1", "1.x.x", "", "-a", "^1", "*", "a b", "a" * 129],
)
def test_what_reads_as_versions_or_is_no_name_is_no_tag(name: str) -> None:
    refused = tag("PUT", name)
    assert isinstance(refused, Refused)
    assert [reason.code.value for reason in refused.reasons] == ["upload-malformed"]


def test_only_a_version_that_is_vouched_for_is_tagged() -> None:
    refused = given(tag("PUT", "latest", b'"1.1.0"'), document())
    assert isinstance(refused, Refused)
    assert [reason.code.value for reason in refused.reasons] == ["operation-refused"]


def test_a_refused_removal_is_told_with_what_it_was() -> None:
    refused = tag("DELETE", "latest", b"")
    assert isinstance(refused, Refused)
    assert refused.mutation is not None
    assert refused.mutation.what == "npm dist-tag rm @acme/widget latest"


def test_a_deprecation_says_no_more_to_the_registry_than_it_changes() -> None:
    registry = document(new="old") | {"_attachments": {"x": {}}, "users": {"ann": True}}
    sent = document("use 1.1.0", "old") | {"users": {"ann": True}}
    write = given(deprecation("/@acme%2fwidget", sent), registry, SEEN)
    assert isinstance(write, Write)
    assert json.loads(write.head) == document("use 1.1.0", "old") | {"users": {"ann": True}}


def test_a_text_that_was_there_before_need_not_keep_to_the_bounds() -> None:
    long = "x" * 5000
    write = given(deprecation("/@acme%2fwidget", document("new", long)), document(new=long), SEEN)
    assert isinstance(write, Write)


def test_only_what_was_deprecated_is_taken_back() -> None:
    write = given(deprecation("/@acme%2fwidget", document()), document(new="old"), SEEN)
    assert isinstance(write, Write)
    versions = json.loads(write.head)["versions"]
    assert versions["1.1.0"]["deprecated"] == ""
    assert "deprecated" not in versions["1.0.0"]
