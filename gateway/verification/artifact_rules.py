"""Artifact rules: which of a step's materials and products its layout does not allow.

Specification: https://github.com/in-toto/docs/blob/v1.0/in-toto-spec.md, section 4.3.3. What a rule consumes is the
library's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import filter as matching
from typing import TypeAlias

from in_toto.models.link import Link
from in_toto.verifylib import (
    verify_allow_rule,
    verify_create_rule,
    verify_delete_rule,
    verify_match_rule,
    verify_modify_rule,
)

from gateway.verification.layout import ArtifactRule

Artifacts: TypeAlias = Mapping[str, Mapping[str, str]]


def violated(
    rules: Iterable[ArtifactRule], link: Link, kind: str, links: Mapping[str, Link]
) -> Iterator[tuple[ArtifactRule, str]]:
    """The rules that are broken, and by what; each consumes what it matches (specification, section 4.3.3).

    What consumes is the library's. Its own loop keeps a trace in a variable of its module, which two threads would
    spoil for each other, and it stops at the first rule that is broken.
    """
    artifacts: Artifacts = link.materials if kind == "materials" else link.products
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
    rule: ArtifactRule, queue: set[str], link: Link, artifacts: Artifacts, links: Mapping[str, Link]
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
