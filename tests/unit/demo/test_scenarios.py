from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.demo.scenarios import POLICY, SCENARIOS, Scenario, Signer
from gateway.model.decision import Outcome
from gateway.sandbox import Sandbox

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(Sandbox.create(NOW), NOW)


def test_there_is_a_good_release_and_at_least_nine_bad_ones() -> None:
    assert SCENARIOS[0].outcome is Outcome.ACCEPT
    assert sum(scenario.outcome is Outcome.REJECT for scenario in SCENARIOS) >= 9


def test_every_scenario_has_a_name_of_its_own_that_fits_the_table() -> None:
    assert len({scenario.slug for scenario in SCENARIOS}) == len(SCENARIOS)
    assert len({scenario.title for scenario in SCENARIOS}) == len(SCENARIOS)
    assert max(len(scenario.title) for scenario in SCENARIOS) <= 34


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.slug)
def test_every_scenario_can_be_made_and_is_about_a_package_of_the_rule(scenario: Scenario, signer: Signer) -> None:
    attempt = scenario.make(signer)
    assert attempt.distribution.name.startswith("acme_")
    assert bool(attempt.attestations) == (scenario.slug != "unsigned")


def test_only_the_scenario_that_overwrites_shares_a_file_name(signer: Signer) -> None:
    names = [scenario.make(signer).distribution.name for scenario in SCENARIOS if scenario.needs is None]
    assert len(set(names)) == len(names)


def test_the_demo_trusts_the_sandbox_alone() -> None:
    assert "trust_roots: [sandbox]" in POLICY
