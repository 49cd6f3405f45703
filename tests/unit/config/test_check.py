"""What `provgate check` says of settings that can be read (CONTRACTS A.6, A.8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.config import Problem, ReadAuth, Settings, check_settings, load_trust_roots, shipped_trust_roots
from gateway.policy import Mode
from gateway.signing import RegistryKey
from gateway.verification import TrustRoot
from tests.lab import cases, layouts
from tests.lab.cases import AT
from tests.lab.settings import GOOD

Reader = Callable[[str], Settings]
PUBLIC = "sigstore-public-good"


@pytest.fixture
def settings(read: Reader) -> Settings:
    return read(GOOD)


@pytest.fixture
def root() -> TrustRoot:
    return replace(load_trust_roots(shipped_trust_roots())[PUBLIC], not_after=None)


@pytest.fixture
def said(root: TrustRoot) -> Callable[..., list[str]]:
    def ask(settings: Settings, **changed: Any) -> list[str]:
        values: dict[str, Any] = {"roots": {PUBLIC: root}, "policy": cases.policy(), "now": AT}
        return [told(problem) for problem in check_settings(settings, **(values | changed))]

    return ask


def told(problem: Problem) -> str:
    return f"{problem.level.value}: {problem.text}"


def registry(settings: Settings, **changed: Any) -> Settings:
    return replace(settings, registries=(replace(settings.registries[0], **changed),))


def test_good_settings_have_no_problem(settings: Settings, said: Callable[..., list[str]]) -> None:
    assert said(settings) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"upstream_credential": None}, "error: registry python: no upstream_credential, so whoever reaches"),
        (
            {"upstream_credential": None, "upstream_reachable_only_here": True},
            "warning: registry python: no upstream_credential; the upstream accepts",
        ),
        ({"upstream": "http://10.0.0.5:8081"}, "warning: registry python: upstream is http: the upstream credential"),
        ({"upstream": "http://localhost.evil.example"}, "warning: registry python: upstream is http"),
        ({"public_url": "http://pypi.acme.example/pypi"}, "warning: registry python: public_url is http: tokens"),
        ({"read_auth": ReadAuth.NONE}, "warning: registry python: read_auth: none lets anyone read"),
    ],
)
def test_each_way_around_the_gate_is_told(
    settings: Settings, said: Callable[..., list[str]], changed: dict[str, Any], expected: str
) -> None:
    (problem,) = said(registry(settings, **changed))
    assert problem.startswith(expected)


@pytest.mark.parametrize("upstream", ["https://10.0.0.5", "http://localhost:8081", "http://[::1]:8081"])
def test_an_upstream_that_nobody_can_overhear_is_no_problem(
    settings: Settings, said: Callable[..., list[str]], upstream: str
) -> None:
    assert said(registry(settings, upstream=upstream)) == []


def test_a_sandbox_is_warned_of(settings: Settings, said: Callable[..., list[str]]) -> None:
    (problem,) = said(replace(settings, sandbox=True))
    assert problem.startswith("warning: sandbox: true")


def a_store(settings: Settings) -> Iterator[Path]:
    for path in (settings.store_path, settings.key_file):
        path.write_bytes(b"")
        path.chmod(0o600)
        yield path
    settings.spool.directory.mkdir(mode=0o700)
    yield settings.spool.directory


def test_private_files_are_no_problem_and_each_one_that_others_can_read_is(
    settings: Settings, said: Callable[..., list[str]]
) -> None:
    paths = list(a_store(settings))
    assert said(settings) == []
    for path in paths:
        before = path.stat().st_mode
        path.chmod(0o740)
        (problem,) = said(settings)
        assert problem.startswith(f"error: {path}: mode 0740 lets others in; run: chmod ")
        path.chmod(before)


def test_what_anyone_can_change_is_an_error(settings: Settings, said: Callable[..., list[str]]) -> None:
    settings.policy.mkdir()
    settings.policy.chmod(0o777)
    (problem,) = said(settings)
    assert problem.startswith(f"error: {settings.policy}: mode 0777 lets anyone change what is trusted")
    settings.policy.chmod(0o755)
    settings.store_path.parent.chmod(0o770)
    (problem,) = said(settings)
    assert problem.startswith(f"error: {settings.store_path.parent}: mode 0770 lets others write the directory")


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (31, []),
        (30, ["warning: trust root sigstore-public-good: expires on"]),
        (0, ["warning: trust root sigstore-public-good: expires on"]),
        (-1, ["error: trust root sigstore-public-good: expired on"]),
    ],
)
def test_a_root_is_warned_of_thirty_days_before_it_ends(
    settings: Settings, said: Callable[..., list[str]], root: TrustRoot, days: int, expected: list[str]
) -> None:
    now = datetime.combine(AT.date(), time.max, UTC)
    found = said(settings, now=now, roots={PUBLIC: replace(root, not_after=now + timedelta(days=days))})
    assert [problem[: len(want)] for problem, want in zip(found, expected, strict=True)] == expected


def test_a_sandboxs_root_and_what_a_root_leaves_out_are_told(
    settings: Settings, said: Callable[..., list[str]], root: TrustRoot
) -> None:
    found = said(settings, roots={PUBLIC: replace(root, sandbox=True, skipped=("tlogs[1]: a new key",))})
    assert found[0].startswith("error: trust root sigstore-public-good: is a sandbox's")
    assert found[1] == "warning: trust root sigstore-public-good: left out, of an unknown kind: tlogs[1]: a new key"


def test_a_policy_that_lets_more_through_than_it_seems_is_warned_of(
    settings: Settings, said: Callable[..., list[str]]
) -> None:
    unsafe = cases.signer(unsafe_unbound_name=True, unsafe_mutable_signer=True)
    rule = cases.rule(registries=("staging",), mode=Mode.OBSERVE, attestations=(cases.asked(signers=(unsafe,)),))
    found = said(settings, policy=cases.policy(rule))
    assert found[0] == "warning: registry python: no rule speaks of it, so every upload to it is refused"
    assert [problem.split("rule acme-python: ")[1].split(" ")[0] for problem in found[1:]] == [
        "mode:",
        "unsafe_unbound_name",
        "unsafe_mutable_signer",
    ]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (0, ["error: trust root acme-release: its layout expired on 2027-06-30"]),
        (1, ["warning: trust root acme-release: its layout expires on 2027-06-30"]),
        (30, ["warning: trust root acme-release: its layout expires on 2027-06-30"]),
        (31, []),
    ],
)
def test_a_layout_is_told_of_thirty_days_before_it_expires(
    settings: Settings, said: Callable[..., list[str]], days: int, expected: list[str]
) -> None:
    found = layouts.root()
    assert found.layout is not None
    now = found.layout.expires - timedelta(days=days)
    problems = said(settings, roots={found.name: found}, now=now)
    assert [problem.partition(";")[0] for problem in problems] == expected


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([None], []),
        ([31], []),
        ([30], ["warning: registry python: signing_keys: none signs in 30 days"]),
        ([30, None], []),
        ([0], ["error: registry python: signing_keys: none can sign"]),
        ([0, 31], []),
    ],
)
def test_the_last_key_is_warned_of_thirty_days_before_it_expires(
    settings: Settings, said: Callable[..., list[str]], days: list[int | None], expected: list[str]
) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    keys = tuple(
        RegistryKey("id", "key", None if left is None else AT + timedelta(days=left), private) for left in days
    )
    found = said(registry(settings, signing_keys=keys))
    assert [problem[: len(want)] for problem, want in zip(found, expected, strict=True)] == expected


def test_keys_of_which_only_the_public_halves_are_there_sign_nothing(
    settings: Settings, said: Callable[..., list[str]]
) -> None:
    (problem,) = said(registry(settings, signing_keys=(RegistryKey("id", "key"),)))
    assert problem.startswith("error: registry python: signing_keys: none can sign")


def test_a_key_of_two_registries_is_warned_of(settings: Settings, said: Callable[..., list[str]]) -> None:
    one, other = (RegistryKey(name, "key", None, ec.generate_private_key(ec.SECP256R1())) for name in ("one", "other"))
    first = replace(settings.registries[0], signing_keys=(one,))
    for keys, warnings in (((one,), 1), ((other,), 0)):
        two = replace(settings, registries=(first, replace(first, name="second", signing_keys=keys)))
        found = [problem for problem in said(two) if "signing key" in problem]
        assert len(found) == warnings
        assert all("signing key one is of python and second" in problem for problem in found)
