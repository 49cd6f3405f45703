"""Signers from their text: each is somebody, and says nothing that could not match or that anybody could meet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from gateway.model.identity import path_of
from gateway.policy.checks.comparing import is_github
from gateway.policy.patterns import ref_problem
from gateway.policy.rules import Signer
from gateway.policy.schema import SignerText
from gateway.policy.spot import Spot, exact_problem

_REPOSITORY: Final = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+")
_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_BUILDER: Final = re.compile(r"([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+/[A-Za-z0-9_./+-]+)@(.+)")
_FIXED: Final = re.compile(r"refs/tags/\S+|[0-9a-f]{40}(?:[0-9a-f]{24})?")
_UNSAFE: Final = {
    "unsafe_unbound_name": "evidence that names nothing counts: it says for which bytes it is, not for what package",
    "unsafe_mutable_signer": "a build signer may stand on a branch here: whoever may push to it may sign",
}
_OF_A_WORKFLOW: Final = (
    "repository_id",
    "owner_id",
    "workflow",
    "build_signer",
    "ref",
    "runner",
    "trigger",
    "environment",
    "visibility",
    "unsafe_mutable_signer",
)


def read_signers(
    spot: Spot, text: SignerText | tuple[SignerText, ...], kinds: AbstractSet[str] | None = None
) -> tuple[Signer, ...]:
    """Read one signer, a list of alternatives, or `any_of` them; `kinds` are their trust roots', where known."""
    if isinstance(text, tuple):
        if not text:
            spot.wrong("an empty list of signers; name at least one")
        return tuple(_signer(spot / number, one, kinds) for number, one in enumerate(text))
    if "any_of" not in text.model_fields_set:
        return (_signer(spot, text, kinds),)
    if text.model_fields_set != {"any_of"}:
        spot.wrong("any_of stands alone; put the other keys into each of its entries")
    if not text.any_of:
        (spot / "any_of").wrong("an empty list of signers; name at least one")
    return tuple(_signer(spot / "any_of" / number, one, kinds) for number, one in enumerate(text.any_of))


def _signer(spot: Spot, text: SignerText, kinds: AbstractSet[str] | None) -> Signer:
    given = text.model_fields_set
    if "any_of" in given:
        (spot / "any_of").wrong("alternatives inside alternatives; write one flat list")
    values = {name: (spot / name).texts(getattr(text, name), check) for name, check in _CHECKS.items() if name in given}
    if text.build_level is None:
        (spot / "build_level").wrong_if_null()
    signer = Signer(
        **values,
        build_level=text.build_level or 1,
        unsafe_unbound_name=text.unsafe_unbound_name,
        unsafe_mutable_signer=text.unsafe_mutable_signer,
    )
    for name, what in _UNSAFE.items():
        if getattr(text, name):
            (spot / name).warn(f"{name}: {what}")
    _check_whole(spot, given - {"any_of"})
    _check_vouched(spot, text, kinds)
    _check_workflow(spot, signer)
    _check_builder(spot / "build_signer", signer)
    return signer


def _check_whole(spot: Spot, given: set[str]) -> None:
    """A signer is one of key, subject and repository, with what belongs to it (CONTRACTS C.2)."""
    who = [name for name in ("key", "subject", "repository") if name in given]
    if not who:
        spot.wrong("a signer of nobody; name repository and workflow, or subject, or key")
        return
    if len(who) > 1:
        spot.wrong(f"{' and '.join(who)} in one signer; write one signer for each")
    if "repository" not in who:
        for name in _OF_A_WORKFLOW:
            if name in given:
                (spot / name).wrong(f"{name} belongs to a signer by repository; name the repository, or remove it")
    elif "build_level" in given:
        (spot / "build_level").wrong("of a repository the certificate says the level; remove it")
    elif "workflow" not in given:
        spot.wrong(
            "a repository without workflow: any workflow of it could sign; name the path of the release workflow"
        )


def _check_vouched(spot: Spot, text: SignerText, kinds: AbstractSet[str] | None) -> None:
    """Somebody vouches for the name: the issuer, or a private CA as the trust root; a key is in a root of keys.

    Numbers are compared together with their issuer (CONTRACTS E.5).
    """
    given = text.model_fields_set
    if "key" in given:
        if "issuer" in given:
            (spot / "issuer").wrong("a key has no issuer; remove it")
        if kinds is not None and "keys" not in kinds:
            (spot / "key").wrong("none of the trust roots is of kind keys; name one that is")
    if len(text.issuer) > 1 and not isinstance(text.issuer, str) and given & {"repository_id", "owner_id"}:
        (spot / "issuer").wrong("a number means something with its own issuer only; write one signer for each issuer")
    if "key" not in given and given & {"subject", "repository"} and "issuer" not in given and kinds != {"ca"}:
        spot.wrong("a signer without issuer; name it: anybody's issuer could give the same name")


def _check_workflow(spot: Spot, signer: Signer) -> None:
    if any(is_github(issuer) for issuer in signer.issuer):
        for path in signer.workflow:
            if path_of(path) and not path.startswith(".github/workflows/"):
                (spot / "workflow").wrong(f"{path!r} is no workflow of GitHub's; write .github/workflows/{path}")


def _check_builder(spot: Spot, signer: Signer) -> None:
    """A builder on a branch changes under the rule's feet (CONTRACTS C.3)."""
    for builder in signer.build_signer:
        match = _BUILDER.fullmatch(builder)
        if match is None or _FIXED.fullmatch(match[2]) or signer.unsafe_mutable_signer:
            continue
        ref = match[2]
        if ref.startswith("refs/"):
            spot.wrong(f"{builder!r} moves with {ref}; name a tag or a commit, or set unsafe_mutable_signer: true")


def _repository_problem(text: str) -> str:
    if "://" in text:
        return f"{text!r} is an address; write the path alone, like acme/libs"
    return exact_problem(text) or (
        "" if _REPOSITORY.fullmatch(text) else f"{text!r} is no repository; write owner/name"
    )


def _number_problem(text: str) -> str:
    return "" if _NUMBER.fullmatch(text) else f"{text!r} is no number of the CI's; write its digits in quotes"


def _path_problem(text: str) -> str:
    if "@" in text:
        return f"{text!r} holds a ref; write the path alone, and the ref as ref"
    return exact_problem(text) or (
        "" if path_of(text) else f"{text!r} is no path in a repository; write it from its root"
    )


def _builder_problem(text: str) -> str:
    match = _BUILDER.fullmatch(text)
    if match is None:
        return exact_problem(text) or f"{text!r} is no builder; write owner/repo/path@refs/tags/v1"
    path, ref = match.groups()
    if not ref.startswith("refs/") and not _FIXED.fullmatch(ref):
        return f"{text!r} has no full ref; write {path}@refs/tags/{ref}, or the whole commit"
    return exact_problem(text)


_CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    "issuer": exact_problem,
    "subject": exact_problem,
    "key": exact_problem,
    "repository": _repository_problem,
    "repository_id": _number_problem,
    "owner_id": _number_problem,
    "workflow": _path_problem,
    "build_signer": _builder_problem,
    "ref": ref_problem,
    "runner": exact_problem,
    "trigger": exact_problem,
    "environment": exact_problem,
    "visibility": exact_problem,
}
