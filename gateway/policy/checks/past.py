"""Checks against what this registry accepted before: bound names, withdrawn bytes, and the rest of the release."""

from __future__ import annotations

from typing import Final

from gateway.model.case import Case
from gateway.model.decision import Check
from gateway.model.identity import Identity
from gateway.model.upload import File
from gateway.policy.checks.comparing import run_of, same_run
from gateway.policy.checks.results import failed, judged, passed, skipped
from gateway.policy.rules import Rule
from gateway.reasons import Code, Reason

_IMMUTABLE: Final = "This tag is immutable here: push the image under a new one, or push the same digest again."


def names_free(case: Case, rule: Rule | None) -> tuple[Check, ...]:
    """A name once published stays bound to its bytes, also after the registry lost them (CONTRACTS E.2).

    A tag moves, unless the rule says that it does not.
    """
    if case.upload.movable and (rule is None or rule.moves(case.upload)):
        return (passed("name-free", case.upload.files[0].name, "a tag that may move", case.upload.version),)
    return tuple(_name_free(case, file) for file in case.upload.files)


def _name_free(case: Case, file: File) -> Check:
    held = [*case.history.bound, *((one.canonical, one.sha256) for one in case.history.release)]
    mine = [sha256 for canonical, sha256 in held if canonical == file.canonical]
    other = next((sha256 for sha256 in mine if sha256 != file.sha256), None)
    return judged(
        "name-free",
        file.name,
        Code.VERSION_EXISTS,
        f"sha256:{other}" if other else "a new name or the same bytes",
        f"sha256:{file.sha256}" if mine else "a new name",
        holds=other is None,
        remedy=_IMMUTABLE if case.upload.movable else "",
    )


def not_revoked(case: Case) -> tuple[Check, ...]:
    """Withdrawn bytes do not come back."""
    return tuple(
        judged(
            "not-revoked",
            file.name,
            Code.DIGEST_REVOKED,
            "bytes that were not withdrawn",
            f"sha256:{file.sha256}",
            holds=file.sha256 not in case.history.revoked,
        )
        for file in case.upload.files
    )


def release_open(case: Case, rule: Rule) -> tuple[Check, ...]:
    """No late additions: a stolen credential must not add a file to an old release that everybody has pinned.

    A tag that may move is no release: whoever wants it closed calls it immutable.
    """
    wanted = rule.release
    if wanted.closed_after is None:
        return ()
    if rule.moves(case.upload):
        return (skipped("release-open", case.upload.files[0].name, "a tag that may move is no release"),)
    there = {(one.canonical, one.sha256) for one in case.history.release}
    first = min((one.at for one in case.history.release), default=None)
    checks = []
    for file in case.upload.files:
        if first is None or (file.canonical, file.sha256) in there:
            checks.append(passed("release-open", file.name, "an open release", "no addition to an older one"))
            continue
        closed = first + wanted.closed_after
        checks.append(
            judged(
                "release-open",
                file.name,
                Code.RELEASE_CLOSED,
                f"published by {closed.isoformat(timespec='seconds')}",
                case.at.isoformat(timespec="seconds"),
                holds=case.at <= closed,
            )
        )
    return tuple(checks)


def release_run(case: Case, signer: Identity | None, about: str) -> Check:
    """Every other file of this version is of the signer's run; one whose run is not known is of another."""
    mine = {file.canonical for file in case.upload.files}
    others = [one for one in case.history.release if one.canonical not in mine]
    if not others:
        return skipped("release-run", about, "no other file of this version")
    stranger = next((one for one in others if not same_run(one.signer, signer)), None)
    if stranger is None:
        return passed("release-run", about, run_of(others[0].signer), run_of(signer))
    known = run_of(stranger.signer) if stranger.signer else "a run that is not known"
    expected = f"{known}, as {stranger.canonical}"
    return failed("release-run", about, Reason(Code.RUN_MISMATCH, about, expected, run_of(signer)))
