"""Policy files to values: every problem of every file at once, with its line and the mend.

What is refused here is what could only be a mistake: a rule that never matches, a signer of nobody, a builder that
anybody with a push could change, a level that the rule's own signer cannot reach.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from gateway.errors import ConfigurationError
from gateway.model.case import GrantKind
from gateway.model.evidence import LINK
from gateway.policy.durations import duration
from gateway.policy.expectations import read_provenance, read_summary
from gateway.policy.patterns import Reach, package_problem, tag_problem, types
from gateway.policy.rules import (
    HOLDS,
    NEVER,
    PROVENANCE,
    AttestationRule,
    CredentialRule,
    Policy,
    Position,
    ReleaseRule,
    Rule,
    Signer,
    TagRule,
)
from gateway.policy.schema import AttestationText, CredentialText, PolicyText, RuleText
from gateway.policy.signers import read_signers
from gateway.policy.spot import Spot, exact_problem, name_problem
from gateway.strict.yaml import load

_NO_WAIT: Final = "never"
_KINDS: Final = tuple(kind.value for kind in GrantKind)


def load_policy(
    files: Mapping[str, str],
    *,
    trust_roots: Collection[str] | None = None,
    registries: Collection[str] | None = None,
) -> Policy:
    """Read policy files, by name, in the order of their names; raises one `ConfigurationError` with every problem.

    `trust_roots` and `registries` are the names that are configured; where None, any name is taken. Trust roots as a
    mapping give their kinds too: a signer may then go without issuer where each of its roots is of kind `ca`.
    """
    if not files:
        raise ConfigurationError("policy: no policy file; write at least one rule, else every upload is refused")
    reader = _Reader(trust_roots, registries)
    problems: list[str] = []
    for name in sorted(files):
        try:
            loaded = load(PolicyText, files[name], name)
        except ConfigurationError as error:
            problems += error.problems
            continue
        spot = Spot(loaded, ("rules",), [], reader.warnings)
        reader.read(spot, loaded.value.rules)
        problems += [line for _, line in sorted(spot.problems)]
    if problems:
        raise ConfigurationError(*problems)
    return Policy(tuple(reader.rules), _revision(files), tuple(reader.warnings))


def _revision(files: Mapping[str, str]) -> str:
    """The sha256 of all files; each text with its length before it, so that no two sets of files look alike."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for text in (name.encode(), files[name].encode()):
            digest.update(len(text).to_bytes(8) + text)
    return digest.hexdigest()


@dataclass(slots=True)
class _Reader:
    """Reads rules one after the other, knowing the earlier ones."""

    trust_roots: Collection[str] | None
    registries: Collection[str] | None
    rules: list[Rule] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _names: dict[str, Rule] = field(default_factory=dict)
    _reach: Reach = field(default_factory=Reach)

    def read(self, spot: Spot, rules: tuple[RuleText, ...]) -> None:
        """Read the rules of one file."""
        if not rules:
            spot.wrong("an empty list of rules; write one, or remove the file")
        for number, text in enumerate(rules):
            here = spot / number
            before = len(spot.problems)
            rule = self._rule(here, text)
            self.rules.append(rule)
            if len(spot.problems) > before:
                continue
            if hidden := self._reach.hidden_by(rule):
                which = ", ".join(f"{one.name} ({one.position})" for one in hidden)
                here.wrong(
                    f"rule {rule.name} can never match: {which} matches all it does; move it up or narrow that one"
                )
            self._reach.add(rule)

    def _rule(self, here: Spot, text: RuleText) -> Rule:
        line, column = here.position
        position = Position(here.loaded.file, line, column)
        if problem := name_problem(text.name):
            (here / "name").wrong(problem)
        if text.name in self._names:
            (here / "name").wrong(f"a second rule {text.name!r}; the first is at {self._names[text.name].position}")
        if "owner" in text.model_fields_set and not text.owner.strip():
            (here / "owner").wrong("an empty owner; write who answers for the rule, or remove the key")
        attestations = tuple(
            self._attestation(here / "attestations" / number, one) for number, one in enumerate(text.attestations)
        )
        if not attestations:
            (here / "attestations").wrong("an empty list asks for no evidence at all; name at least one attestation")
        rule = Rule(
            name=text.name,
            packages=(here / "packages").texts(text.packages, package_problem),
            attestations=attestations,
            registries=self._registries(here / "registries", text),
            owner=text.owner,
            mode=text.mode,
            credential=_credential(here / "credential", text.credential),
            release=_release(here / "release", text),
            tags=_tags(here / "tags", text),
            hold=_hold(here / "hold", text),
            position=position,
        )
        self._names.setdefault(rule.name, rule)
        if attestations:
            _check_runs(here, rule)
        return rule

    def _registries(self, spot: Spot, text: RuleText) -> tuple[str, ...]:
        if "registries" not in text.model_fields_set:
            return ()
        known = self.registries
        return spot.texts(text.registries, lambda name: _unknown("registry", name, known))

    def _attestation(self, spot: Spot, text: AttestationText) -> AttestationRule:
        if "layout" in text.model_fields_set:
            return self._layout(spot, text)
        predicate: tuple[str, ...] | None = None
        if "predicate" in text.model_fields_set:
            predicate = (spot / "predicate").texts(text.predicate, exact_problem)
            if text.signature:
                (spot / "signature").wrong("a predicate and a plain signature in one entry; write two entries")
        elif not text.signature:
            spot.wrong("neither predicate nor signature; name the predicate type, or write signature: true")
        roots: tuple[str, ...] = ()
        if "trust_roots" in text.model_fields_set:
            roots = (spot / "trust_roots").texts(text.trust_roots, lambda name: self._root_problem(name, layout=False))
        else:
            spot.wrong("no trust_roots; name those under which the evidence may verify")
        signers: tuple[Signer, ...] = ()
        if text.signer is not None:
            known = self._kinds
            kinds = {known[root] for root in roots if root in known} if known is not None and roots else None
            signers = read_signers(spot / "signer", text.signer, kinds)
        else:
            spot.wrong("no signer; name who may sign")
        rule = AttestationRule(
            predicate,
            roots,
            signers,
            text.min_build_level or 0,
            provenance=read_provenance(spot / "provenance", text.provenance, predicate),
            summary=read_summary(spot / "summary", text.summary, predicate),
        )
        if any(signer.build_level > 1 for signer in signers) and not rule.provenance.builder:
            (spot / "signer").wrong(
                "a build_level is that of a builder; name it as provenance.builder beside the signer"
            )
        if text.min_build_level is None:
            (spot / "min_build_level").wrong_if_null()
        if predicate is not None or text.signature:
            _check_level(spot / "min_build_level", rule)
        return rule

    def _layout(self, spot: Spot, text: AttestationText) -> AttestationRule:
        """Links under a layout: it names who signs what, so nothing else is asked for in the entry."""
        for key in sorted(text.model_fields_set - {"layout"}):
            (spot / key).wrong(
                f"{key} beside layout; the layout says who signs what, so write two entries or remove it"
            )
        roots = (spot / "layout").texts(text.layout, lambda name: self._root_problem(name, layout=True))
        return AttestationRule((LINK,), roots, (), layout=True)

    @property
    def _kinds(self) -> Mapping[str, str] | None:
        return self.trust_roots if isinstance(self.trust_roots, Mapping) else None

    def _root_problem(self, name: str, *, layout: bool) -> str:
        """What is wrong with the name of a trust root; a layout vouches for links and for nothing else."""
        kind = (self._kinds or {}).get(name)
        if kind is None or (kind == "layout") is layout:
            return _unknown("trust root", name, self.trust_roots)
        if layout:
            return f"trust root {name!r} is of kind {kind}; name one of kind layout, or write trust_roots"
        return f"trust root {name!r} is a layout; write layout: {name} as an entry of its own"


def _unknown(kind: str, name: str, known: Collection[str] | None) -> str:
    if known is None or name in known:
        return name_problem(name)
    return f"no {kind} {name!r}; configured: {', '.join(sorted(known)) or 'none'}"


def _credential(spot: Spot, text: CredentialText | None) -> CredentialRule:
    if text is None:
        spot.wrong_if_null()
        return CredentialRule()
    kinds: tuple[GrantKind, ...] = ()
    if "kind" in text.model_fields_set:
        named = (spot / "kind").texts(text.kind, _kind_problem)
        kinds = tuple(GrantKind(kind) for kind in named if kind in _KINDS)
    elif not text.same_run:
        spot.wrong("asks for nothing; write kind or same_run: true, or remove the key")
    if text.same_run and "token" in kinds:
        (spot / "same_run").wrong("a plain token is of no run; write kind: oidc")
    return CredentialRule(kinds, text.same_run)


def _kind_problem(text: str) -> str:
    return "" if text in _KINDS else f"{text!r} is no kind of credential; write {' or '.join(_KINDS)}"


def _release(spot: Spot, rule: RuleText) -> ReleaseRule:
    text = rule.release
    if text is None:
        spot.wrong_if_null()
        return ReleaseRule()
    if _types(rule) == {"oci"}:
        spot.wrong("an image has no files that could come later; write tags, or remove the key")
    closed: timedelta | None = None
    if "closed_after" in text.model_fields_set:
        closed = duration(text.closed_after)
        if closed is None or closed == NEVER:
            (spot / "closed_after").wrong(
                f"{text.closed_after!r} is no duration; write a number with s, m, h or d: 14d"
            )
    elif not text.same_run:
        spot.wrong("asks for nothing; write same_run: true or closed_after, or remove the key")
    return ReleaseRule(text.same_run, closed)


def _tags(spot: Spot, rule: RuleText) -> TagRule:
    if rule.tags is None:
        spot.wrong_if_null()
        return TagRule()
    if not _types(rule) & {"oci", "*"}:
        spot.wrong("none of these packages has tags that could move, only oci does; remove the key")
    return TagRule((spot / "immutable").texts(rule.tags.immutable, tag_problem))


def _types(text: RuleText) -> frozenset[str]:
    return types((text.packages,) if isinstance(text.packages, str) else text.packages)


def _hold(spot: Spot, text: RuleText) -> timedelta | None:
    if "hold" not in text.model_fields_set:
        return None
    if text.hold == _NO_WAIT:
        return NEVER
    held = duration(text.hold)
    if held is None or held == NEVER:
        spot.wrong(f"{text.hold!r} is no duration; write never, or a number with s, m, h or d: 30m")
        return None
    if not _types(text) & {*HOLDS, "*"}:
        spot.wrong(f"none of these packages can be held, only {', '.join(HOLDS)} can; write never or remove the key")
    return held


def _check_runs(spot: Spot, rule: Rule) -> None:
    """`same_run` needs a signer with a run, and beside it none without: such a one would slip past it."""
    wanting = [key for key, part in (("credential", rule.credential), ("release", rule.release)) if part.same_run]
    for key in wanting:
        where = spot / key / "same_run"
        entries = [[bool(signer.repository) for signer in asked.signers] for asked in rule.attestations]
        if not any(any(entry) for entry in entries):
            where.wrong("no signer of this rule has a run; name one by repository and workflow, or remove same_run")
        elif any(any(entry) and not all(entry) for entry in entries):
            where.wrong("a signer by subject or key has no run and would slip past; give it an attestation of its own")


def _check_level(spot: Spot, rule: AttestationRule) -> None:
    """A level that the entry itself rules out would refuse every upload."""
    level = rule.min_build_level
    if level == 0:
        return
    if rule.predicate is None or not set(rule.predicate) <= PROVENANCE:
        spot.wrong(f"only provenance proves a build level; write predicate: {max(PROVENANCE)}")
    for signer in rule.signers:
        if not signer.repository:
            if signer.build_level < level:
                spot.wrong(
                    f"a key or a person proves level {signer.build_level} at most; name a repository and workflow, or "
                    "the build_level that its builder is trusted for"
                )
        elif level == 3 and not signer.build_signer:
            spot.wrong("signed inside the build job is at most level 2; name the trusted builder as build_signer")
        elif level == 3 and (homes := _homes(signer.build_signer) & {one.lower() for one in signer.repository}):
            spot.wrong(f"a builder in {homes.pop()} itself is at most level 2; name one of another repository")
        elif level == 3 and signer.unsafe_mutable_signer and _moving(signer):
            spot.wrong("a builder on a branch is at most level 2; name it by tag or commit")


def _moving(signer: Signer) -> bool:
    return any("@refs/heads/" in builder for builder in signer.build_signer)


def _homes(builders: tuple[str, ...]) -> set[str]:
    return {"/".join(builder.split("/")[:2]).lower() for builder in builders}
