"""Links under layouts, to findings: whether the steps of a layout were performed as it demands.

    1. Read        each piece into a link; a layout among them is refused, one with inspections by its own code.
    2. Claim       the roots whose layout has the link's step and a functionary of it under the signature's key id.
    3. Signature   of each functionary whose id the link bears.
    4. In force    the root, the layout, and a key that signed the layout.
    5. Threshold   enough functionaries of each step agree on what it took and made.
    6. Rules       of each step, over the materials and products of all.
    7. Product     what the last step made is what the layout vouches for.

Steps 1 to 3 give each link its finding, steps 4 to 7 give all links together one under each layout. Specification:
https://github.com/in-toto/docs/blob/v1.0/in-toto-spec.md, section 5.2. Left out of it: inspections (CONTRACTS C.13),
sublayouts, keys of GnuPG, and the expected command, which the specification only warns about. The library's
`in_toto_verify` is never called: it runs inspections as subprocesses and reads the clock.

Junk cannot hurt (CONTRACTS C.12): links that do not verify are not looked at further, and among functionaries who
disagree any choice that meets the layout will do.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import filter as matching
from typing import Final, TypeAlias

from in_toto.models.link import Link
from in_toto.verifylib import (
    verify_allow_rule,
    verify_create_rule,
    verify_delete_rule,
    verify_match_rule,
    verify_modify_rule,
)

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.model.digest import ALGORITHMS, STRONG, Digest
from gateway.model.evidence import LINK, Attestation, Evidence, EvidenceRef, Finding, Format, Performed, Subject
from gateway.reasons import Code, Reason
from gateway.verification.bundle import UnsupportedKind
from gateway.verification.layout import ArtifactRule, Layout, Step, has_inspections
from gateway.verification.signed_metadata import Signature, read_metadata
from gateway.verification.trust_root import TrustRoot

_SHOWN: Final = 16  # products that are recorded where none is the file, so that a reason can say what differs

_Files: TypeAlias = Sequence[tuple[Digest, ...]]
_Artifacts: TypeAlias = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Signed:
    """A link after step 1; `message` is empty where no functionary of any layout is said to have signed it."""

    link: Link
    signatures: tuple[Signature, ...]
    message: bytes


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A link before one layout, after step 3: the functionaries whose ids it bears, and who of them signed."""

    ref: EvidenceRef
    signed: _Signed
    hinted: frozenset[str]
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Group:
    """Functionaries of one step who agree on what it took and made."""

    link: Link
    functionaries: frozenset[str]


def verify_links(
    pieces: Sequence[Evidence],
    roots: Sequence[TrustRoot],
    files: _Files,
    now: datetime,
    late: Callable[[], bool] = bool,
) -> tuple[Finding, ...]:
    """Verify links, and hold them together against each layout; never raises for what the evidence holds.

    A link that verifies gives an attestation of its own, by its functionary; it covers those of `files` that its step
    made. All links together give one more finding under each layout that knows any of them, of format `LINKS`. Once
    `late` says so, the pieces that are left are not read (one of 1 MiB takes some 300 ms).
    """
    layouts = [(root, root.layout) for root in roots if root.layout is not None]
    known = {key_id for _, layout in layouts for step in layout.steps for key_id in step.functionaries}
    read: list[tuple[EvidenceRef, _Signed]] = []
    findings: list[Finding] = []
    for piece in pieces:
        if late():
            findings.append(Finding(piece.ref, None, reasons=(unverified(piece.ref),)))
            continue
        try:
            read.append((piece.ref, _read(piece, known)))  # 1
        except Exception as error:  # noqa: BLE001 - a third party's reader of hostile bytes: anything else fails closed
            findings.append(Finding(piece.ref, None, reasons=(_unreadable(piece.ref.label, error),)))
    if not read:
        return tuple(findings)
    trials = [
        _Trial(root, layout, tuple(_claim(layout, ref, signed) for ref, signed in read), files, now)
        for root, layout in layouts
    ]
    claiming = [trial for trial in trials if any(link.hinted for link in trial.links)]
    for trial in claiming or trials:
        findings += trial.findings()
    if not trials:
        unknown = "a functionary of a layout", "no trust root of kind layout"
        findings += [
            Finding(ref, None, reasons=(Reason(Code.CERTIFICATE_UNTRUSTED, ref.label, *unknown),)) for ref, _ in read
        ]
    return tuple(findings)


def unverified(ref: EvidenceRef) -> Reason:
    """Say that a piece was left out because the time for one publish was spent."""
    return Reason(Code.EVIDENCE_UNVERIFIED, ref.label, f"verified within {limits.EVIDENCE_SECONDS:g} s")


# --- 1. Read ------------------------------------------------------------------------------------------------------


class _Inspections(Malformed):
    """A layout that wants something run."""


def _read(piece: Evidence, known: set[str]) -> _Signed:
    signed = read_metadata(piece.body)
    if signed.document.get("_type") == "layout":
        if has_inspections(signed.document):
            raise _Inspections("layout", "has inspections, which are commands to be run by the verifier")
        raise UnsupportedKind("evidence", "a layout sent as evidence; layouts come from the operator")
    link = signed.model
    if not isinstance(link, Link) or not isinstance(link.name, str):
        raise Malformed("link.name", "not a string")
    if not any(signature.key_id in known for signature in signed.signatures):
        return _Signed(link, signed.signatures, b"")
    return _Signed(link, signed.signatures, link.signable_bytes if signed.envelope is None else signed.envelope)


def _unreadable(about: str, error: Exception) -> Reason:
    match error:
        case _Inspections():
            return Reason(Code.LAYOUT_INSPECTION, about, got=error.problem)
        case UnsupportedKind():
            return Reason(Code.EVIDENCE_UNSUPPORTED, about, got=str(error))
        case TooLarge():
            return Reason(Code.EVIDENCE_LIMIT, about, error.limit, error.about)
        case Malformed():
            return Reason(Code.EVIDENCE_MALFORMED, about, got=str(error))
        case _:
            return Reason(Code.EVIDENCE_MALFORMED, about, got=type(error).__name__)


# --- 2 and 3. Claim, signature ------------------------------------------------------------------------------------


def _claim(layout: Layout, ref: EvidenceRef, signed: _Signed) -> _Claimed:
    step = layout.step(signed.link.name)
    known = {} if step is None else step.functionaries
    hinted = [signature for signature in signed.signatures if signature.key_id in known]
    by = [one.key_id for one in hinted if known[one.key_id].signed(one.value, signed.message)]
    return _Claimed(ref, signed, frozenset(one.key_id for one in hinted), tuple(dict.fromkeys(by)))


@dataclass(frozen=True, slots=True)
class _Trial:
    """The links before one root and its layout."""

    root: TrustRoot
    layout: Layout
    links: tuple[_Claimed, ...]
    files: _Files
    now: datetime

    def findings(self) -> Iterator[Finding]:
        """Each link's finding, and the one of all together."""
        yield from map(self._link, self.links)
        yield self._together([(link.signed.link, key_id) for link in self.links for key_id in link.by])

    def _link(self, link: _Claimed) -> Finding:
        about, root, name = link.ref.label, self.root, link.signed.link.name
        if link.by:
            made = tuple(_matching(_subjects(link.signed.link.products), self.files))
            return Finding(link.ref, root.name, self._attestation(link.by[0], made))
        if self.layout.step(name) is None:
            expected = " or ".join(f"step {step.name}" for step in self.layout.steps)
            reason = Reason(Code.EVIDENCE_NAME_MISMATCH, about, expected, f"step {name}")
        elif link.hinted:
            reason = Reason(Code.SIGNATURE_INVALID, about, "a signature over this link", "another signature")
        else:
            got = ", ".join(f"key {signature.key_id[:16]}" for signature in link.signed.signatures) or "no signature"
            reason = Reason(Code.CERTIFICATE_UNTRUSTED, about, f"a functionary of step {name} in {root.name}", got)
        return Finding(link.ref, root.name, reasons=(reason,))

    def _attestation(
        self, key: str | None, covers: tuple[Subject, ...], steps: tuple[Performed, ...] = ()
    ) -> Attestation:
        return Attestation(
            root=self.root.name,
            root_digest=self.root.digest,
            signer=None,
            key=key,
            time=None,
            time_source="none",
            predicate_type=LINK,
            covers=covers,
            steps=steps,
        )

    # --- 4. In force ----------------------------------------------------------------------------------------------

    def _outdated(self, about: str) -> Iterator[Reason]:
        root, now, expires = self.root, self.now, self.layout.expires
        if root.not_after is not None and now > root.not_after:
            expected = f"a use by {root.not_after.date()}"
            yield Reason(Code.TRUST_ROOT_EXPIRED, about, expected, now.date().isoformat())
        if now >= expires:
            expected = f"a use before {expires.isoformat()}"
            yield Reason(Code.LAYOUT_EXPIRED, about, expected, now.isoformat(timespec="seconds"))
        if not any(now in named.window for named in root.layout_signers):
            windows = " or ".join(f"{named.name} in {named.window}" for named in root.layout_signers)
            yield Reason(Code.CERTIFICATE_EXPIRED, about, windows, now.isoformat(timespec="seconds"))

    # --- 5. Threshold ---------------------------------------------------------------------------------------------

    def _groups(self, step: Step, verified: Sequence[tuple[Link, str]]) -> list[_Group]:
        """Those who agree on the step, the most first; of the last step those first who made one of the files."""
        groups: list[tuple[Link, set[str]]] = []
        for link, key_id in verified:
            if link.name != step.name:
                continue
            agreed = next((by for one, by in groups if _agree(one, link)), None)
            if agreed is None:
                groups.append((link, {key_id}))
            else:
                agreed.add(key_id)
        last = step is self.layout.steps[-1]

        def rank(group: tuple[Link, set[str]]) -> tuple[bool, int]:
            made = last and any(_matching(_subjects(group[0].products), self.files))
            return not made, -len(group[1])

        return [_Group(link, frozenset(by)) for link, by in sorted(groups, key=rank)]

    # --- 5 to 7, together -----------------------------------------------------------------------------------------

    def _together(self, verified: Sequence[tuple[Link, str]]) -> Finding:
        refs = [link.ref for link in self.links]
        identifier = hashlib.sha256("\n".join(sorted(ref.id for ref in refs)).encode()).hexdigest()
        ref = EvidenceRef(identifier, Format.LINKS, refs[-1].source)  # the publisher's own come first
        reasons = list(self._outdated(ref.label))
        enough: list[list[_Group]] = []
        for step in self.layout.steps:
            groups = self._groups(step, verified)
            enough.append([group for group in groups if len(group.functionaries) >= step.threshold])
            if not enough[-1]:
                most = max((len(group.functionaries) for group in groups), default=0)
                expected = f"links of {step.threshold} functionaries who agree on step {step.name}"
                reasons.append(Reason(Code.LAYOUT_THRESHOLD, ref.label, expected, str(most)))
        if all(enough):
            chosen, violations = self._choice(enough, ref.label)
            reasons += violations
            covers = self._product(chosen[-1].link)
            if not covers:
                expected = f"a product of step {self.layout.steps[-1].name} with a sha256, sha384 or sha512"
                reasons.append(Reason(Code.LAYOUT_RULE_VIOLATED, ref.label, expected, "none"))
            if not reasons:
                steps = tuple(Performed(one.link.name, tuple(sorted(one.functionaries))) for one in chosen)
                return Finding(ref, self.root.name, self._attestation(None, covers, steps))
        return Finding(ref, self.root.name, reasons=tuple(reasons))

    def _choice(self, enough: Sequence[Sequence[_Group]], about: str) -> tuple[tuple[_Group, ...], list[Reason]]:
        """The first choice of one group for each step that breaks no rule, else the one that breaks the fewest."""
        best: tuple[tuple[_Group, ...], list[Reason]] | None = None
        # The last step varies slowest: its first group is the one that made the file.
        for turned in itertools.islice(itertools.product(*reversed(enough)), limits.LAYOUT_CHOICES):
            groups = tuple(reversed(turned))
            links = {group.link.name: group.link for group in groups}
            violations = [
                Reason(Code.LAYOUT_RULE_VIOLATED, about, f"{rule.words} ({kind} of step {step.name})", got)
                for step in self.layout.steps
                for kind, rules in (("materials", step.materials), ("products", step.products))
                for rule, got in _violated(rules, links[step.name], kind, links)
            ]
            if best is None or len(violations) < len(best[1]):
                best = groups, violations
            if not violations:
                break
        assert best is not None
        return best

    def _product(self, link: Link) -> tuple[Subject, ...]:
        """What the last step made: the products that are one of the files, else the first few."""
        subjects = _subjects(link.products)
        found = tuple(itertools.islice(_matching(subjects, self.files), limits.STATEMENT_SUBJECTS))
        return found or tuple(subjects[:_SHOWN])


# --- 6. Rules -----------------------------------------------------------------------------------------------------


def _violated(
    rules: Iterable[ArtifactRule], link: Link, kind: str, links: Mapping[str, Link]
) -> Iterator[tuple[ArtifactRule, str]]:
    """The rules that are broken, and by what; each consumes what it matches (specification, section 4.3.3).

    What consumes is the library's. Its own loop keeps a trace in a variable of its module, which two threads would
    spoil for each other, and it stops at the first rule that is broken.
    """
    artifacts: _Artifacts = link.materials if kind == "materials" else link.products
    queue = set(artifacts)
    for rule in rules:
        pattern = rule.parts["pattern"]
        match rule.parts["rule_type"]:
            case "disallow":
                if hit := sorted(matching(queue, pattern)):
                    yield rule, ", ".join(hit[:3]) + (f" and {len(hit) - 3} more" if len(hit) > 3 else "")
            case "require":
                if pattern not in queue:  # a name, not a pattern
                    yield rule, "none, or an earlier rule took it"
            case _:
                try:
                    queue -= _consumed(rule, queue, link, artifacts, links)
                except Exception as error:  # noqa: BLE001 - paths like `a//b` break the library: anything else fails closed
                    yield rule, f"a path that cannot be judged ({type(error).__name__})"


def _consumed(
    rule: ArtifactRule, queue: set[str], link: Link, artifacts: _Artifacts, links: Mapping[str, Link]
) -> set[str]:
    pattern = rule.parts["pattern"]
    found: set[str]
    match rule.parts["rule_type"]:
        case "match":
            found = verify_match_rule(rule.parts, queue, artifacts, links)
        case "create":
            found = verify_create_rule(pattern, queue, set(link.materials), set(link.products))
        case "delete":
            found = verify_delete_rule(pattern, queue, set(link.materials), set(link.products))
        case "modify":
            found = verify_modify_rule(pattern, queue, link.materials, link.products)
        case _:
            found = verify_allow_rule(pattern, queue)
    return found


def _agree(one: Link, other: Link) -> bool:
    return bool(one.materials == other.materials and one.products == other.products)


# --- 7. Product ---------------------------------------------------------------------------------------------------


def _subjects(products: _Artifacts) -> list[Subject]:
    """Products with a strong digest, by the last part of their path: the directory is the functionary's own."""
    found = []
    for path, digests in sorted(products.items()):
        known = tuple(_digest(name, value) for name, value in sorted(digests.items()) if name in ALGORITHMS)
        if any(digest.algorithm in STRONG for digest in known):
            found.append(Subject(path.rpartition("/")[2], known))
    return found


def _digest(algorithm: str, value: str) -> Digest:
    try:
        return Digest.parse(f"{algorithm}:{value.lower()}")
    except Malformed:
        return Digest(algorithm, value.lower())  # of a wrong length: equal to nothing that was measured


def _matching(subjects: Iterable[Subject], files: _Files) -> Iterator[Subject]:
    strong = {digest for file in files for digest in file if digest.algorithm in STRONG}
    return (subject for subject in subjects if any(digest in strong for digest in subject.digests))
