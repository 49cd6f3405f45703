"""What sets a failed check aside: the rule's mode, a waiver, or evidence that may still come."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from gateway.model.case import Case, Waiver
from gateway.model.decision import Check, Result
from gateway.policy.rules import NEVER, Mode, Rule


class Weight(IntEnum):
    """What failed checks lead to, once those set aside are taken out; the greatest decides."""

    NOTHING = 0
    HOLD = 1
    REJECT = 2


@dataclass(frozen=True, slots=True)
class Leniency:
    """How far failed checks count in one case under one rule.

    `mode: observe` lifts the kinds of code that CONTRACTS D.5 names and nothing else. A waiver in force sets aside its
    codes for its digest, where the catalogue lets them be waived (D.6). A hold waits for what is curable (D.1).
    """

    observed: bool
    holds: bool
    waivers: tuple[Waiver, ...]
    waived: tuple[str, ...]  # the file names that the waivers in force are for; one file: everything is about it

    @classmethod
    def of(cls, case: Case, rule: Rule | None) -> Leniency:
        """Read off what the case and its rule allow."""
        upload = case.upload
        in_force = tuple(
            one
            for one in case.waivers
            if one.registry == upload.registry.name
            and one.purl == upload.purl
            and one.version == upload.version
            and any(file.sha256 == one.sha256 for file in upload.files)
            and case.at < one.expires
        )
        return cls(
            observed=rule is not None and rule.mode is Mode.OBSERVE,
            holds=rule is not None and rule.holds_for(upload.registry.ecosystem) > NEVER,
            waivers=in_force,
            waived=tuple(_name_of(case, one) for one in in_force),
        )

    def settle(self, check: Check) -> Check:
        """The check with its failure lifted or waived, where it may be."""
        if check.result is not Result.FAILED or check.reason is None:
            return check
        if self.observed and check.reason.entry.kind.observable:
            return replace(check, result=Result.LIFTED)
        if self.waiver_for(check) is not None:
            return replace(check, result=Result.WAIVED)
        return check

    def waiver_for(self, check: Check) -> Waiver | None:
        """The waiver that sets this check's reason aside."""
        if check.reason is None or not check.reason.entry.waivable:
            return None
        code = check.reason.code
        pairs = zip(self.waivers, self.waived, strict=True)
        return next((one for one, name in pairs if code in one.codes and name in {"", check.about}), None)

    def weight(self, checks: Iterable[Check]) -> Weight:
        """What these checks lead to by themselves."""
        failures = [one.reason for one in map(self.settle, checks) if one.result is Result.FAILED and one.reason]
        if not failures:
            return Weight.NOTHING
        return Weight.HOLD if self.holds and all(one.entry.curable for one in failures) else Weight.REJECT


def _name_of(case: Case, waiver: Waiver) -> str:
    files = case.upload.files
    return "" if len(files) == 1 else next(file.name for file in files if file.sha256 == waiver.sha256)
