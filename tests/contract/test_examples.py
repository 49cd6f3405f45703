"""The shipped policy loads under the shipped trust roots: what `provgate verify` reads in a checkout is right."""

from __future__ import annotations

from pathlib import Path

from gateway.config import load_trust_roots, read_policy_files, shipped_trust_roots
from gateway.policy import load_policy

POLICY = Path(__file__).parents[2] / "policy"


def test_the_example_policy_names_only_roots_that_are_shipped() -> None:
    roots = load_trust_roots(shipped_trust_roots())
    policy = load_policy(read_policy_files(POLICY), trust_roots={name: root.kind for name, root in roots.items()})
    assert policy.rules
