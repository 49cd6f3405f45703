"""Whatever bytes come as links or as a layout: findings with reasons, never an exception, and no step from nowhere."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.model.evidence import Format
from gateway.reasons import Kind
from gateway.verification.keys import read_pem
from gateway.verification.layout import Layout, read_layout
from tests.lab import layouts as lab
from tests.lab.mutants import mutant

GOOD = [*lab.links(), lab.build("carol", envelope=True)]
LAYOUT = lab.layout()
ENVELOPED = lab.layout(envelope=True)
OWNER = read_pem(lab.pem("owner"), "owner")


def performed(bodies: list[bytes]) -> bool:
    """Whether the layout is satisfied; every refusal must carry reasons that a client can be told."""
    found = lab.find(bodies)
    for finding in found:
        assert (finding.attestation is None) == bool(finding.reasons)
        assert all(reason.entry.kind in {Kind.EVIDENCE, Kind.INPUT} for reason in finding.reasons)
        assert all(reason.line().isascii() for reason in finding.reasons)
    return any(one.attestation is not None and one.evidence.format is Format.LINKS for one in found)


@given(st.lists(st.binary(max_size=100), max_size=3))
def test_bytes_beside_good_links_change_nothing(junk: list[bytes]) -> None:
    assert not performed(junk)
    assert performed([*junk, *GOOD])


@given(st.integers(min_value=0, max_value=2**32))
@settings(max_examples=200)
def test_a_link_with_one_field_spoiled_never_raises_and_never_hurts_those_beside_it(seed: int) -> None:
    chance = Random(seed)
    body, _ = mutant(chance.choice(GOOD), GOOD, chance)
    assert performed([body, *GOOD])
    performed([GOOD[0], GOOD[1], body])


def said(layout: Layout) -> object:
    """Everything of a layout that a judgement depends on."""
    steps = [
        (
            step.name,
            step.threshold,
            {key_id: key.fingerprint for key_id, key in step.functionaries.items()},
            [rule.words for rule in (*step.materials, *step.products)],
        )
        for step in layout.steps
    ]
    return layout.expires, steps


@given(st.integers(min_value=0, max_value=2**32), st.booleans())
@settings(max_examples=300)
def test_a_layout_with_one_field_spoiled_is_malformed_unsigned_or_says_the_same(seed: int, envelope: bool) -> None:  # noqa: FBT001
    good = ENVELOPED if envelope else LAYOUT
    body, _ = mutant(good, [good], Random(seed))
    try:
        layout = read_layout(body)
    except Malformed:
        return
    if layout.signed_by(OWNER):
        assert said(layout) == said(read_layout(good))
