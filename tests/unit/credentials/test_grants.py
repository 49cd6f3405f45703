"""What a grant covers; near misses of one that does (CONTRACTS A.1)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from gateway.credentials import check, covers
from gateway.model.case import Action, Grant
from gateway.reasons import Code
from tests.lab import cases
from tests.lab.cases import AT

GOOD = cases.token(expires=AT + timedelta(hours=1), not_before=AT)


def codes(grant: Grant, *, purl: str | None = cases.PURL, at: datetime = AT) -> list[Code]:
    return [reason.code for reason in check(grant, "python", purl, Action.PUBLISH, at)]


def test_a_grant_does_for_what_it_names() -> None:
    assert codes(GOOD) == []
    assert covers(GOOD, "python", cases.PURL, Action.PUBLISH)


def test_a_request_about_no_one_package_needs_registry_and_action_only() -> None:
    assert codes(GOOD, purl=None) == []
    assert covers(GOOD, "python", None, Action.PUBLISH)


@pytest.mark.parametrize(
    "spoiled",
    [
        cases.token(registry="staging"),
        cases.token(registry="pytho"),
        cases.token(registry=""),
        cases.token(actions=frozenset({Action.READ, Action.ATTACH, Action.MUTATE})),
        cases.token(actions=frozenset()),
        cases.token(packages=("pkg:pypi/acme",)),
        cases.token(packages=("pkg:npm/acme-*",)),
        cases.token(packages=("acme-lib",)),
        cases.token(packages=()),
        cases.token(packages=("pkg:pypi/ACME-*",)),
    ],
)
def test_a_scope_that_misses_by_one_field_does_not_cover(spoiled: Grant) -> None:
    assert not covers(spoiled, "python", cases.PURL, Action.PUBLISH)
    assert codes(spoiled) == [Code.CREDENTIAL_SCOPE]


@pytest.mark.parametrize("purl", ["pkg:pypi/acme-lib/evil", "xpkg:pypi/acme-lib", "pkg:pypi/xacme-lib"])
def test_a_pattern_covers_the_whole_purl_and_one_segment(purl: str) -> None:
    assert codes(cases.token(packages=("pkg:pypi/acme-lib*",)), purl=purl) == [Code.CREDENTIAL_SCOPE]


def test_a_grant_ends_at_the_very_moment_it_expires() -> None:
    assert codes(GOOD, at=GOOD.expires - timedelta(microseconds=1)) == []
    assert codes(GOOD, at=GOOD.expires) == [Code.CREDENTIAL_EXPIRED]


def test_a_grant_begins_at_the_moment_it_names() -> None:
    assert codes(GOOD, at=GOOD.not_before - timedelta(microseconds=1)) == [Code.CREDENTIAL_EXPIRED]


@pytest.mark.parametrize(("left", "expected"), [(None, []), (1, []), (0, [Code.CREDENTIAL_EXPIRED])])
def test_a_grant_without_uses_left_is_used_up(left: int | None, expected: list[Code]) -> None:
    assert codes(cases.token(uses_left=left)) == expected


def test_every_reason_is_told() -> None:
    spoiled = cases.token(registry="r", packages=(), actions=frozenset(), expires=AT, not_before=AT + timedelta(1))
    assert codes(spoiled) == [Code.CREDENTIAL_EXPIRED] * 2 + [Code.CREDENTIAL_SCOPE] * 3
