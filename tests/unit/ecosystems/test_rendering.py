"""A refusal in words: one line that stands alone, many lines with every reason, and no byte a client could choke on."""

from __future__ import annotations

import pytest

from gateway.ecosystems.rendering import lines, phrase, status_of
from gateway.reasons import CATALOGUE, Code, Reason

LINK = "https://pypi.acme.example/-/d/AAAAAAAAAAAAAAAAAAAAAA"
HOSTILE = "a\r\nSet-Cookie: x\x1b[31m\u202eevil\u2028é"


def test_the_phrase_says_code_what_expected_got_and_where() -> None:
    reason = Reason(Code.WORKFLOW_MISMATCH, "a-1.whl", ".github/workflows/release.yml", ".github/workflows/ci.yml")
    assert phrase([reason], LINK) == (
        f"workflow-mismatch: a-1.whl: expected .github/workflows/release.yml, got .github/workflows/ci.yml - {LINK}"
    )


def test_the_phrase_counts_the_reasons_it_leaves_out() -> None:
    reasons = [Reason(Code.NO_RULE, "a"), Reason(Code.EVIDENCE_MISSING, "a"), Reason(Code.VERSION_EXISTS, "a")]
    assert phrase(reasons, LINK) == f"no-rule: a: no rule for this package (and 2 more) - {LINK}"


def test_the_link_survives_a_reason_of_any_length() -> None:
    said = phrase([Reason(Code.REF_MISMATCH, "a", "x" * 9000, "y" * 9000)], LINK)
    assert said.endswith(f"... - {LINK}")
    assert len(said) < 500


@pytest.mark.parametrize("code", list(Code))
def test_every_code_is_printable_ascii_on_one_line(code: Code) -> None:
    said = phrase([Reason(code, HOSTILE, HOSTILE, HOSTILE)], LINK)
    assert said.isascii()
    assert said.isprintable()


@pytest.mark.parametrize("code", list(Code))
def test_the_lines_hold_every_reason_and_no_control_character(code: Code) -> None:
    text = lines([Reason(Code.NO_RULE, "b"), Reason(code, HOSTILE, HOSTILE, HOSTILE)], LINK)
    assert code.value in text
    assert CATALOGUE[code].remedy.split()[0] in text
    assert all(line.isascii() and line.isprintable() for line in text.split("\n"))
    assert LINK in text


def test_a_digest_is_never_broken_over_two_lines() -> None:
    digest = "sha512:" + "a" * 128
    assert digest in lines([Reason(Code.DIGEST_MISMATCH, "a", digest)], LINK)


@pytest.mark.parametrize(
    ("codes", "status"),
    [
        ([Code.NO_RULE, Code.CREDENTIAL_MISSING], 401),
        ([Code.NO_RULE, Code.UPSTREAM_UNAVAILABLE], 502),
        ([Code.VERSION_EXISTS, Code.NO_RULE], 409),
    ],
)
def test_a_challenge_comes_before_a_fault_before_the_first_reason(codes: list[Code], status: int) -> None:
    assert status_of([Reason(code, "a") for code in codes]) == status
