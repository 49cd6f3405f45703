"""`Surroundings`: what a publish takes from outside, and the one maker of a `Record`, which needs two of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gateway.model.case import Case, Grant
from gateway.model.decision import Decision
from gateway.model.intent import Record, Step
from gateway.model.mutation import Mutation
from gateway.publish.served import Trust


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a publish takes from outside: the clock, randomness, and who is told of each step (the kill tests)."""

    now: Callable[[], datetime]
    identifier: Callable[[], str]
    random: Callable[[int], bytes]
    stepped: Callable[[Step], None] = lambda _: None

    def record(
        self,
        registry: str,
        grant: Grant,
        decision: Decision,
        *,
        case: Case | None = None,
        mutation: Mutation | None = None,
        trust: Trust | None = None,
    ) -> Record:
        """What a decision is written down as, at its case's time or now; `trust` holds the roots that were asked."""
        return Record(
            id=self.identifier(),
            at=case.at if case else self.now(),
            case=case,
            decision=decision,
            registry=registry,
            grant=grant.id,
            roots=tuple((root.name, root.digest) for root in trust.roots) if trust else (),
            mutation=mutation,
        )
