"""Links under layouts, to findings: whether the steps of a layout were performed as it demands.

    1. Read        each piece into a link, or a sublayout; one with inspections is refused by its own code.
    2. Claim       the roots whose layout has the link's step and a functionary of it under the signature's key id.
    3. Signature   of each functionary whose id the link bears.
    4. In force    the root, the layout, and a key that signed the layout.
    5. Threshold   enough functionaries of each step agree on what it took and made.
    6. Rules       of each step, over the materials and products of all.
    7. Product     what the last step made is what the layout vouches for.

Steps 1 to 3 give each link its finding, steps 4 to 7 give all links together one under each layout. A functionary may
send a layout in place of a link: it is held against the other links in the same way, and stands for a link with the
materials of its first step and the products of its last. Specification:
https://github.com/in-toto/docs/blob/v1.0/in-toto-spec.md, section 5.2. Left out of it: inspections (CONTRACTS C.13),
keys of GnuPG, and the expected command, which the specification only warns about. Where it tells a sublayout's links by
their folder, they are told here by step and key, for evidence has no folders. The library's `in_toto_verify` is never
called: it runs inspections as subprocesses and reads the clock.

Junk cannot hurt (CONTRACTS C.12): links that do not verify are not looked at further, and among functionaries who
disagree any choice that meets the layout will do.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from in_toto.models.link import Link

from gateway import limits
from gateway.errors import Malformed
from gateway.model.digest import ALGORITHMS, STRONG, Digest
from gateway.model.evidence import LINK, Attestation, Evidence, EvidenceRef, Finding, Format, Performed, Source, Subject
from gateway.reasons import Code, Reason
from gateway.verification.artifact_rules import Artifacts, violated
from gateway.verification.layout import Layout, Step
from gateway.verification.link_evidence import Reading, SignedLink, Sublayout
from gateway.verification.trust_root import TrustRoot

_SHOWN: Final = 16  # products that are recorded where none is the file, so that a reason can say what differs

_OWN: Final = frozenset({Source.REQUEST, Source.ARGUMENT})

_Files: TypeAlias = Sequence[tuple[Digest, ...]]


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
    reading = Reading(late, {key_id for _, layout in layouts for key_id in layout.functionaries})
    links, sublayouts = reading.read(pieces)
    if not links and not sublayouts:
        return tuple(reading.findings)
    trials = [_Trial(root, layout, links, _standing(layout, sublayouts), files, now) for root, layout in layouts]
    claiming = [trial for trial in trials if trial.claims()]
    for trial in claiming or trials:
        reading.findings.extend(trial.findings(sublayouts))
    if not trials:
        unknown = "a functionary of a layout", "no trust root of kind layout"
        refs = [one.ref for one in links] + [one.ref for one in sublayouts]
        reasons = [(ref, Reason(Code.CERTIFICATE_UNTRUSTED, ref.label, *unknown)) for ref in refs]
        reading.findings.extend(Finding(ref, None, reasons=(reason,)) for ref, reason in reasons)
    return tuple(reading.findings)


# --- 2 and 3. Claim, signature ------------------------------------------------------------------------------------


def _standing(layout: Layout, sublayouts: Iterable[Sublayout]) -> tuple[Sublayout, ...]:
    """The sublayouts that a functionary signed, of the layout or of one that stands."""
    left, found, steps = list(sublayouts), list[Sublayout](), list(layout.steps)
    for step in steps:  # grows
        signed = [one for one in left if one.by(step)]
        left = [one for one in left if one not in signed]
        found += signed
        steps += [inner for one in signed for inner in one.layout.steps]
    return tuple(found[: limits.SUBLAYOUTS])


@dataclass(frozen=True, slots=True)
class _Trial:
    """The links and sublayouts before one root and a layout: the root's own, or at some depth a sublayout."""

    root: TrustRoot
    layout: Layout
    links: tuple[SignedLink, ...]
    sublayouts: tuple[Sublayout, ...]
    files: _Files
    now: datetime
    depth: int = 1

    @property
    def _layouts(self) -> Iterator[Layout]:
        yield self.layout
        for sublayout in self.sublayouts:
            yield sublayout.layout

    def claims(self) -> bool:
        """Whether any piece bears the id of a functionary of its step."""
        return bool(self.sublayouts) or any(self._hinted(link) for link in self.links)

    def _hinted(self, link: SignedLink) -> bool:
        steps = [step for layout in self._layouts if (step := layout.step(link.link.name)) is not None]
        return any(signature.key_id in step.functionaries for step in steps for signature in link.signatures)

    def findings(self, sublayouts: Iterable[Sublayout]) -> Iterator[Finding]:
        """Each piece's finding, and the one of all together."""
        yield from map(self._sublayout, sublayouts)
        yield from map(self._link, self.links)
        yield self._together()

    def _sublayout(self, one: Sublayout) -> Finding:
        """That a functionary signed it; whether it holds is seen where it stands for a step."""
        if one in self.sublayouts:
            by = [key_id for step in self.layout.steps for key_id in one.by(step)]
            return Finding(one.ref, self.root.name, self._attestation(next(iter(by), None), ()))
        expected, got = f"a functionary of {self.root.name}", "a layout by others"
        reason = Reason(Code.CERTIFICATE_UNTRUSTED, one.ref.label, expected, got)
        return Finding(one.ref, self.root.name, reasons=(reason,))

    def _link(self, link: SignedLink) -> Finding:
        about, root, name = link.ref.label, self.root, link.link.name
        by = link.by(self.layout.step(name))
        if by or any(link.by(one.layout.step(name)) for one in self.sublayouts):
            made = tuple(_matching(_subjects(link.link.products), self.files))
            # An id in a sublayout is its functionary's word: with anybody's id there, any key may stand.
            return Finding(link.ref, root.name, self._attestation(next(iter(by), None), made))
        if not any(layout.step(name) for layout in self._layouts):
            expected = " or ".join(f"step {step.name}" for layout in self._layouts for step in layout.steps)
            reason = Reason(Code.EVIDENCE_NAME_MISMATCH, about, expected, f"step {name}")
        elif self._hinted(link):
            reason = Reason(Code.SIGNATURE_INVALID, about, "a signature over this link", "another signature")
        else:
            got = ", ".join(f"key {signature.key_id[:16]}" for signature in link.signatures) or "no signature"
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
        if now >= expires:
            expected = f"a use before {expires.isoformat()}"
            yield Reason(Code.LAYOUT_EXPIRED, about, expected, now.isoformat(timespec="seconds"))
        if self.depth > 1:
            return
        if root.not_after is not None and now > root.not_after:
            expected = f"a use by {root.not_after.date()}"
            yield Reason(Code.TRUST_ROOT_EXPIRED, about, expected, now.date().isoformat())
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

    def _together(self) -> Finding:
        refs = [one.ref for one in self.links] + [one.ref for one in self.sublayouts]
        identifier = hashlib.sha256("\n".join(sorted(ref.id for ref in refs)).encode()).hexdigest()
        # The publisher's own only where nobody else sent a part of it.
        source = next((one.source for one in refs if one.source not in _OWN), refs[0].source)
        ref = EvidenceRef(identifier, Format.LINKS, source)
        chosen, reasons = self._held(ref.label)
        if not chosen:
            return Finding(ref, self.root.name, reasons=reasons)
        covers = self._product(chosen[-1].link)
        if not covers:
            expected = f"a product of step {self.layout.steps[-1].name} with a sha256, sha384 or sha512"
            reasons += (Reason(Code.LAYOUT_RULE_VIOLATED, ref.label, expected, "none"),)
        if reasons:
            return Finding(ref, self.root.name, reasons=reasons)
        steps = tuple(Performed(one.link.name, tuple(sorted(one.functionaries))) for one in chosen)
        return Finding(ref, self.root.name, self._attestation(None, covers, steps))

    def _held(self, about: str) -> tuple[tuple[_Group, ...], tuple[Reason, ...]]:
        """Hold everything against the layout; without a choice for each step there is a reason."""
        reasons = list(self._outdated(about))
        summaries, faults = self._summaries()
        verified = [(one.link, key_id) for one in self.links for key_id in one.by(self.layout.step(one.link.name))]
        enough: list[list[_Group]] = []
        for step in self.layout.steps:
            groups = self._groups(step, [*verified, *summaries])
            enough.append([group for group in groups if len(group.functionaries) >= step.threshold])
            if not enough[-1]:
                most = max((len(group.functionaries) for group in groups), default=0)
                expected = f"links of {step.threshold} functionaries who agree on step {step.name}"
                reasons.append(Reason(Code.LAYOUT_THRESHOLD, about, expected, str(most)))
        if not all(enough):
            return (), (*reasons, *faults)  # a sublayout that does not hold may be why
        chosen, violations = self._choice(enough, about)
        return chosen, (*reasons, *violations)

    def _summaries(self) -> tuple[list[tuple[Link, str]], list[Reason]]:
        """What each sublayout that holds stands for, as a link of those who signed it; and why others do not hold."""
        found: list[tuple[Link, str]] = []
        faults: list[Reason] = []
        for one in self.sublayouts:
            standing = [(step, by) for step in self.layout.steps if (by := one.by(step))]
            if not standing:
                continue
            if self.depth == limits.LAYOUT_DEPTH:
                limit = f"{limits.LAYOUT_DEPTH} layouts, one in another"
                faults.append(Reason(Code.EVIDENCE_LIMIT, one.ref.label, limit, "more"))
                continue
            others = tuple(other for other in self.sublayouts if other is not one)
            chosen, reasons = replace(self, layout=one.layout, sublayouts=others, depth=self.depth + 1)._held(  # noqa: SLF001
                one.ref.label
            )
            faults += reasons
            if not reasons:
                first, last = chosen[0].link.materials, chosen[-1].link.products
                found += [
                    (Link(name=step.name, materials=first, products=last), key) for step, by in standing for key in by
                ]
        return found, faults

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
                for rule, got in violated(rules, links[step.name], kind, links)
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


def _agree(one: Link, other: Link) -> bool:
    return bool(one.materials == other.materials and one.products == other.products)


# --- 7. Product ---------------------------------------------------------------------------------------------------


def _subjects(products: Artifacts) -> list[Subject]:
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
