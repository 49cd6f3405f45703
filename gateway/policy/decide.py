"""`decide`: the one pure function that judges an upload; `refuse`, for what never became one; `let_through`.

1. Find the rule. 2. Run the checks that hold under any rule. 3. Run those the rule asks for. 4. Settle each failed one:
lifted, waived, or counting. 5. The outcome follows: nothing counts, accept; only curable things under a rule that
holds, hold; else reject. Every check runs, and every reason is reported.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model.case import Action, Case, Grant
from gateway.model.decision import Check, Decision, Outcome, Result
from gateway.model.identity import Identity
from gateway.model.mutation import Mutation
from gateway.policy.checks.claims import claims_agree
from gateway.policy.checks.credential import credential_covers, credential_in_force, credential_kind
from gateway.policy.checks.evidence import Candidate, Demand, evidence_for
from gateway.policy.checks.past import names_free, not_revoked, release_open
from gateway.policy.checks.request import request_rules
from gateway.policy.checks.results import either, failed, passed
from gateway.policy.leniency import Leniency, Weight
from gateway.policy.rules import Policy, Rule
from gateway.reasons import Code, Reason

_OUTCOMES = {Weight.NOTHING: Outcome.ACCEPT, Weight.HOLD: Outcome.HOLD, Weight.REJECT: Outcome.REJECT}


def decide(case: Case, policy: Policy) -> Decision:
    """Judge an upload; nothing but the case and the policy has a say."""
    upload = case.upload
    rule = policy.rule_for(upload.registry.name, upload.purl)  # 1
    lenient = Leniency.of(case, rule)
    checks = [  # 2
        _rule_found(case, rule),
        *credential_covers(case),
        *credential_in_force(case),
        *claims_agree(case),
        *names_free(case, rule),
        *not_revoked(case),
    ]
    signer = None
    if rule is not None:  # 3
        demands = [Demand(case, rule, asked, file) for asked in rule.attestations for file in upload.files]
        candidates = [evidence_for(demand, lenient) for demand in demands]
        checks += [
            *credential_kind(case, rule.credential),
            *release_open(case, rule),
            *request_rules(case, rule),
            *(check for one in candidates for check in one.checks),
        ]
        signer = _signer(candidates, lenient)
    settled = tuple(dict.fromkeys(lenient.settle(check) for check in checks))  # 4
    used = [lenient.waiver_for(check) for check in settled if check.result is Result.WAIVED]
    return Decision(  # 5
        outcome=_OUTCOMES[lenient.weight(checks)],
        checks=settled,
        reasons=_counting(settled),
        rule=rule.name if rule else "",
        policy=policy.revision,
        observed=lenient.observed,
        waivers=tuple(dict.fromkeys(waiver.id for waiver in used if waiver)),
        signer=signer,
    )


def refuse(reasons: tuple[Reason, ...], revision: str) -> Decision:
    """Reject what could not be read as an upload: no rule was looked for and no mode lifts it."""
    if not reasons:
        raise ValueError("a refusal needs a reason")
    return Decision(
        outcome=Outcome.REJECT,
        checks=tuple(failed("request", reason.about, reason) for reason in reasons),
        reasons=reasons,
        rule="",
        policy=revision,
    )


def let_through(mutation: Mutation, grant: Grant, revision: str) -> Decision:
    """Accept a mutation that nothing speaks against: a grant covers it, and no rule asks for evidence of one."""
    covered = (
        passed("credential-package", "credential", either(grant.packages), mutation.purl),
        passed("credential-action", "credential", either(sorted(grant.actions)), Action.MUTATE.value),
    )
    return Decision(Outcome.ACCEPT, covered, reasons=(), rule="", policy=revision)


def _rule_found(case: Case, rule: Rule | None) -> Check:
    purl = case.upload.purl
    expected = f"a rule for {purl} in registry {case.upload.registry.name}"
    if rule is None:
        return failed("rule", purl, Reason(Code.NO_RULE, purl, expected, "none"))
    return passed("rule", purl, expected, rule.name)


def _signer(candidates: Iterable[Candidate], lenient: Leniency) -> Identity | None:
    """Who met the rule: nobody where a failure was merely lifted; a CI before a person or a key."""
    met = [
        one.signer
        for one in candidates
        if one.signer
        and all(lenient.settle(check).result is not Result.LIFTED for check in one.checks)
        and lenient.weight(one.checks) is Weight.NOTHING
    ]
    return next((one for one in met if one.run is not None), next(iter(met), None))


def _counting(checks: Iterable[Check]) -> tuple[Reason, ...]:
    return tuple(dict.fromkeys(one.reason for one in checks if one.result is Result.FAILED and one.reason))
