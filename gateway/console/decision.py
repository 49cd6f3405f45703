"""The page of one decision: the values it shows, chosen once, rendered as HTML and as JSON.

Whoever holds the link may read the page, and links end up in public build logs: so no address, no token and no policy
text is among the values (CONTRACTS A.6). A check of the credential names the grant's id and scope, which open nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from gateway.console.hold import VERDICTS, ShownHold, moment, shown_hold
from gateway.console.templating import render
from gateway.model.codec import plain
from gateway.model.content import Hold
from gateway.model.decision import Check, Decision, Outcome, Result
from gateway.model.evidence import Attestation, Finding
from gateway.model.identity import Identity
from gateway.model.intent import Intent, Record, Settlement
from gateway.model.upload import File
from gateway.reasons import Reason


@dataclass(frozen=True, slots=True)
class ShownReason:
    """One thing wrong, with its page."""

    code: str
    title: str
    about: str
    expected: str
    got: str
    remedy: str
    page: str


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """One check; `code` is empty where it passed or was skipped."""

    name: str
    about: str
    result: str
    expected: str
    got: str
    code: str


@dataclass(frozen=True, slots=True)
class ShownFile:
    """One file as it was measured; `digests` by algorithm."""

    name: str
    size: int
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ShownEvidence:
    """One piece of evidence under one trust root: what it proved, or why not. `id` is the sha256 of its bytes.

    `met_rule` says that its signer is the one by whom the rule was met.
    """

    label: str
    id: str
    format: str
    root: str
    verified: bool
    predicate: str
    time: str
    time_source: str
    covers: tuple[str, ...]
    key: str
    signer: Mapping[str, str]
    met_rule: bool
    reasons: tuple[ShownReason, ...]


@dataclass(frozen=True, slots=True)
class ShownDecision:
    """Everything the page of one decision says.

    `settlement` is empty until the publish came to an end, `problem` says what a person must know about it. `hold` is
    there where the decision was to wait, as it stands now. `mutation` is empty where it was on an upload.
    """

    id: str
    outcome: str
    at: str
    registry: str
    ecosystem: str
    package: str
    name: str
    version: str
    rule: str
    mode: str
    policy: str
    trust_roots: Mapping[str, str]
    settlement: str
    problem: str
    reasons: tuple[ShownReason, ...]
    checks: tuple[ShownCheck, ...]
    files: tuple[ShownFile, ...]
    evidence: tuple[ShownEvidence, ...]
    waivers: tuple[str, ...]
    hold: ShownHold | None
    mutation: str


def decision_json(record: Record, intent: Intent | None = None, hold: Hold | None = None) -> dict[str, Any]:
    """Return what the page says as JSON's own types, under stable keys."""
    shown: dict[str, Any] = plain(_shown(record, intent, hold))
    return shown


def decision_html(record: Record, intent: Intent | None = None, hold: Hold | None = None) -> str:
    """Return the page of one decision; `intent` adds what became of the publish, `hold` how the hold stands."""
    shown = _shown(record, intent, hold)
    signers = [piece for piece in shown.evidence if piece.verified]
    return render(
        "decision.html",
        decision=shown,
        verdict=VERDICTS[hold.ending] if hold else _VERDICTS[record.decision.outcome],
        summary=_mutated(record.decision) if record.mutation else _summary(record.decision),
        fate=_FATES.get(intent.settlement, "") if intent and intent.settlement else "",
        signers=signers,
        built_by=_built_by(record.decision.signer),
        checks=sorted(shown.checks, key=lambda check: _FIRST.index(Result(check.result))),
        sole=shown.files[0].name if len(shown.files) == 1 else None,
        tally=[(result.value, n) for result in Result if (n := _count(record.decision, result))],
        size=_size,
        moment=moment(record.at),
    )


_VERDICTS: Final = {Outcome.ACCEPT: "Accepted", Outcome.HOLD: "On hold", Outcome.REJECT: "Refused"}
# What a reader looks for comes first; the document keeps the order in which the checks were made.
_FIRST: Final = (Result.FAILED, Result.LIFTED, Result.WAIVED, Result.PASSED, Result.SKIPPED)
_FATES: Final = {
    Settlement.PUBLISHED: "The registry holds exactly the verified bytes.",
    Settlement.ABSENT: "The registry holds nothing under this name: the publish did not get through.",
    Settlement.REFUSED: "The registry behind the gateway refused the upload.",
    Settlement.DAMAGED: "The registry holds other bytes than were verified: the file is withheld from every reader.",
}


def _summary(decision: Decision) -> str:
    count = len(decision.reasons)
    things = "One thing is" if count == 1 else f"{count} things are"
    match decision.outcome:
        case Outcome.ACCEPT if decision.observed and _count(decision, Result.LIFTED):
            return "Let through because its rule only observes; enforced, it would have been refused."
        case Outcome.ACCEPT:
            return "Every check that its rule asks for passed."
        case Outcome.HOLD:
            missing = "One thing was" if count == 1 else f"{count} things were"
            return f"{missing} missing when it was pushed."
        case Outcome.REJECT:
            return f"{things} wrong. Nothing was published."


def _mutated(decision: Decision) -> str:
    if decision.outcome is Outcome.ACCEPT:
        return "Let through: the credential covers it, and it changes nothing else."
    return "Nothing was changed."


def _built_by(signer: Identity | None) -> tuple[str, ...]:
    """Who met the rule, in the few words that matter: a workflow of a repository at a ref, or a person's address."""
    if signer is None:
        return ()
    workflow = (signer.repository, signer.workflow, signer.ref)
    return tuple(text for text in workflow if text) or tuple(filter(None, (signer.subject,)))


def _count(decision: Decision, result: Result) -> int:
    return sum(check.result is result for check in decision.checks)


def _shown(record: Record, intent: Intent | None, hold: Hold | None) -> ShownDecision:
    case, decision, mutation = record.case, record.decision, record.mutation
    upload = case.upload if case else None
    return ShownDecision(
        id=record.id,
        outcome=decision.outcome.value,
        at=_time(record.at),
        registry=record.registry,
        ecosystem=upload.registry.ecosystem if upload else "",
        package=upload.purl if upload else mutation.purl if mutation else "",
        name=upload.name if upload else mutation.name if mutation else "",
        version=upload.version if upload else "",
        rule=decision.rule,
        mode="observe" if decision.observed else "enforce",
        policy=decision.policy,
        trust_roots=dict(record.roots),
        settlement=intent.settlement.value if intent and intent.settlement else "",
        problem=intent.problem if intent else "",
        reasons=tuple(_reason(reason) for reason in decision.reasons),
        checks=tuple(_check(check) for check in decision.checks),
        files=tuple(_file(file) for file in upload.files) if upload else (),
        evidence=tuple(_evidence(finding, decision.signer) for finding in case.findings) if case else (),
        waivers=decision.waivers,
        hold=shown_hold(hold) if hold else None,
        mutation=mutation.what if mutation else "",
    )


def _reason(reason: Reason) -> ShownReason:
    return ShownReason(
        code=reason.code.value,
        title=reason.entry.title,
        about=reason.about,
        expected=reason.expected,
        got=reason.got,
        remedy=reason.remedy,
        page=f"/-/reasons/{reason.code.value}",
    )


def _check(check: Check) -> ShownCheck:
    code = check.reason.code.value if check.reason else ""
    return ShownCheck(check.name, check.about, check.result.value, check.expected, check.got, code)


def _file(file: File) -> ShownFile:
    return ShownFile(file.name, file.size, dict(file.digests))


def _evidence(finding: Finding, met: Identity | None) -> ShownEvidence:
    proved = finding.attestation
    return ShownEvidence(
        label=finding.evidence.label,
        id=finding.evidence.id,
        format=finding.evidence.format.value,
        root=finding.root or "",
        verified=proved is not None,
        predicate=(proved.predicate_type or "none: a plain signature") if proved else "",
        time=_time(proved.time) if proved and proved.time else "",
        time_source=proved.time_source if proved else "",
        covers=_covers(proved) if proved else (),
        key=(proved.key or "") if proved else "",
        signer=_identity(proved.signer) if proved and proved.signer else {},
        met_rule=proved is not None and proved.signer is not None and proved.signer == met,
        reasons=tuple(_reason(reason) for reason in finding.reasons),
    )


def _covers(attestation: Attestation) -> tuple[str, ...]:
    return tuple(subject.name or ", ".join(map(str, subject.digests)) for subject in attestation.covers)


def _identity(identity: Identity) -> dict[str, str]:
    values = ((field.name, getattr(identity, field.name)) for field in fields(identity))
    return {name: value for name, value in values if value is not None}


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _size(count: int) -> str:
    if count < 1024:
        return f"{count} bytes"
    amount, unit = float(count), "bytes"
    for unit in ("KiB", "MiB", "GiB"):  # noqa: B007 - the unit it stopped at is the answer
        amount /= 1024
        if amount < 1024:
            break
    return f"{amount:.1f} {unit} ({count:,} bytes)"
