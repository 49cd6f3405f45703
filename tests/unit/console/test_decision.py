from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from gateway.console import SECURITY_HEADERS, decision_html, decision_json
from gateway.model.case import Action, Case, Grant, GrantKind
from gateway.model.content import Ending, Hold, Place
from gateway.model.decision import Check, Decision, Outcome, Result
from gateway.model.digest import Digest
from gateway.model.evidence import Attestation, EvidenceRef, Finding, Format, Source, Subject
from gateway.model.identity import Identity
from gateway.model.intent import Intent, Record, Settlement
from gateway.model.upload import File, Registry, Upload
from gateway.reasons import Code, Reason

AT = datetime(2026, 11, 24, 10, 5, 7, tzinfo=UTC)
NAME = "acme_lib-1.0.0-py3-none-any.whl"
SHA256 = "9f" * 32
SECRETS = ("grant-7", "team-libs@acme.example")
HOSTILE = "<script>alert(1)</script>\"'&\r\nX: y\x1b[31m\u202ekm\u0430"
HARMLESS = (
    r"&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;\r\nX: y\x1b[31m\u202ekm\u0430"  # as text, escapes visible
)


def record(
    outcome: Outcome = Outcome.REJECT, text: str = "mallory/libs", name: str = NAME, *, observed: bool = False
) -> Record:
    """One upload with a good and a bad piece of evidence, refused for its repository."""
    registry = Registry("python", "pypi")
    file = File(name, name, 12_345, (Digest("sha256", SHA256), Digest("md5", "ab" * 16)), frozenset({name}))
    upload = Upload(registry, "pkg:pypi/acme-lib", "acme-lib", "1.0.0", "1", (file,))
    grant = Grant(
        SECRETS[0], GrantKind.TOKEN, SECRETS[1], "python", ("pkg:pypi/acme-*",), frozenset({Action.PUBLISH}), AT, AT
    )
    reason = Reason(Code.REPOSITORY_MISMATCH, name, "acme/libs", text)
    refs = [EvidenceRef(digit * 64, Format.PEP740, Source.REQUEST, place) for place, digit in enumerate("12")]
    proved = Attestation(
        root="sigstore-public-good",
        root_digest="c" * 64,
        signer=Identity(issuer="https://token.actions.githubusercontent.com", repository=text),
        key=None,
        time=AT,
        time_source="log promise",
        predicate_type="https://docs.pypi.org/attestations/publish/v1",
        covers=(Subject(name, (Digest("sha256", SHA256),)),),
    )
    broken = Reason(Code.SIGNATURE_INVALID, refs[1].label, "a signature by the certificate's key", text)
    findings = (
        Finding(refs[0], "sigstore-public-good", proved),
        Finding(refs[1], "sigstore-public-good", reasons=(broken,)),
    )
    rejected = outcome is Outcome.REJECT
    failed = Result.LIFTED if observed else Result.FAILED if rejected else Result.WAIVED
    checks = (
        Check("repository", name, failed, "acme/libs", text, reason),
        Check("workflow", name, Result.PASSED, ".github/workflows/release.yml", ".github/workflows/release.yml"),
        Check("release", name, Result.SKIPPED),
    )
    decision = Decision(outcome, checks, (reason,) if rejected else (), "acme-python", "d" * 64, observed=observed)
    roots = (("sigstore-public-good", "c" * 64),)
    case = Case(AT, upload, grant, findings)
    return Record("Vq3sYb0mRk2pXw8LzJ5tNg", AT, case, decision, "python", SECRETS[0], roots)


class Reader(HTMLParser):
    """Collects every tag, every address and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_a_refusal_says_the_verdict_the_reason_and_the_mend_before_anything_else() -> None:
    text = read(decision_html(record())).text
    order = ["Refused", "acme-lib 1.0.0", "One thing is wrong", "Built from another repository", "acme/libs"]
    order += ["mallory/libs", "Publish from the repository that the rule names.", "Every check"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)


def rows(page: str) -> list[list[str]]:
    """The words of each row of the table of checks."""
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [read(row).text.split() for row in table.split("</tr>")[:-1]]


def test_every_check_is_in_the_table_once_with_what_it_expected_and_got() -> None:
    assert rows(decision_html(record())) == [
        ["repository", "failed", "repository-mismatch", "acme/libs", "mallory/libs"],
        ["workflow", "passed", ".github/workflows/release.yml"],  # expected and got are the same
        ["release", "skipped"],
    ]


def test_what_did_not_pass_comes_first_and_what_it_is_about_is_said_where_it_is_not_the_file() -> None:
    first = record()
    failed, *others = first.decision.checks
    other = replace(failed, about="request evidence 1")
    changed = replace(first, decision=replace(first.decision, checks=(*others, failed, other)))
    assert [words[:4] for words in rows(decision_html(changed))] == [
        ["repository", "failed", "repository-mismatch", "acme/libs"],
        ["repository", "request", "evidence", "1"],
        ["workflow", "passed", ".github/workflows/release.yml"],
        ["release", "skipped"],
    ]
    assert [check["name"] for check in decision_json(changed)["checks"]] == [
        "workflow",
        "release",
        "repository",
        "repository",
    ]


def test_the_page_names_file_digests_signer_evidence_root_time_rule_and_mode() -> None:
    text = read(decision_html(record())).text
    expected = [NAME, "12.1 KiB (12,345 bytes)", SHA256, "https://token.actions.githubusercontent.com", "1" * 64]
    expected += ["request evidence 2", "not verified", "sigstore-public-good", "log promise", "acme-python", "enforce"]
    expected += ["2026-11-24 10:05:07 UTC", "c" * 64, "d" * 64]
    assert [words for words in expected if words not in text] == []


def test_only_the_signer_that_met_the_rule_is_said_to_have_met_it() -> None:
    accepted = record(Outcome.ACCEPT)
    assert accepted.case is not None
    assert "met the rule" not in decision_html(accepted)
    (proved,) = [finding.attestation for finding in accepted.case.findings if finding.attestation]
    met = replace(accepted, decision=replace(accepted.decision, signer=proved.signer))
    page = decision_html(met)
    assert page.count("met the rule") == 1
    first_screen = page.partition("</section>")[0]
    assert "Signed by mallory/libs" in " ".join(read(first_screen).text.split())
    assert [piece["met_rule"] for piece in decision_json(met)["evidence"]] == [True, False]


def test_neither_page_nor_document_holds_the_grant_or_its_owner() -> None:
    shown = decision_html(record()) + repr(decision_json(record()))
    assert [secret for secret in (*SECRETS, "pkg:pypi/acme-*") if secret in shown] == []


def test_the_document_holds_the_values_of_the_page() -> None:
    document = decision_json(record(), Intent("i", "python", "acme-lib", "1.0.0", (), AT, settlement=Settlement.ABSENT))
    assert document["outcome"] == "reject"
    assert document["settlement"] == "absent"
    assert document["reasons"] == [
        {
            "code": "repository-mismatch",
            "title": "Built from another repository",
            "about": NAME,
            "expected": "acme/libs",
            "got": "mallory/libs",
            "remedy": "Publish from the repository that the rule names.",
            "page": "/-/reasons/repository-mismatch",
        }
    ]
    assert [check["result"] for check in document["checks"]] == ["failed", "passed", "skipped"]
    assert document["files"][0]["digests"] == {"sha256": SHA256, "md5": "ab" * 16}
    assert [piece["verified"] for piece in document["evidence"]] == [True, False]
    assert document["evidence"][0]["signer"]["repository"] == "mallory/libs"


def test_hostile_text_is_escaped_and_its_controls_and_look_alikes_are_visible() -> None:
    page = decision_html(record(text=HOSTILE, name=HOSTILE))
    assert HARMLESS in page
    assert page.isascii()
    assert "\x1b" not in page
    assert "script" not in read(page).tags


@pytest.mark.parametrize("outcome", Outcome)
def test_no_page_has_a_script_a_form_or_an_address_outside_of_the_gateway(outcome: Outcome) -> None:
    reader = read(decision_html(record(outcome)))
    assert not {"script", "form", "img", "iframe", "link", "object"} & set(reader.tags)
    assert [address for address in reader.addresses if not address.startswith("/-/")] == []
    assert [name for name in reader.attributes if name.startswith("on") or name == "style"] == []


def test_the_style_is_the_one_whose_hash_the_policy_allows() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", decision_html(record()), flags=re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = SECURITY_HEADERS["Content-Security-Policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy


def test_the_headers_keep_the_page_out_of_caches_indexes_and_referrers() -> None:
    assert SECURITY_HEADERS["Cache-Control"] == "no-store"
    assert SECURITY_HEADERS["X-Robots-Tag"].startswith("noindex")
    assert SECURITY_HEADERS["Referrer-Policy"] == "no-referrer"
    assert SECURITY_HEADERS["X-Content-Type-Options"] == "nosniff"


def test_what_observe_let_through_says_that_it_would_have_been_refused() -> None:
    page = read(decision_html(record(Outcome.ACCEPT, observed=True)))
    assert "enforced, it would have been refused" in page.text
    assert "lifted" in page.text


def test_a_damaged_publish_says_that_the_file_is_withheld() -> None:
    intent = Intent(
        "i", "python", "acme-lib", "1.0.0", (), AT, settlement=Settlement.DAMAGED, problem="Delete this one file."
    )
    text = read(decision_html(record(Outcome.ACCEPT), intent)).text
    assert "withheld from every reader" in text
    assert "Delete this one file." in text
    assert decision_json(record(Outcome.ACCEPT), intent)["problem"] == "Delete this one file."


HOLD = Hold(
    "Vq3sYb0mRk2pXw8LzJ5tNg",
    Place("images", "acme/app"),
    "1.0.0",
    Digest("sha256", SHA256),
    SHA256,
    None,
    SECRETS[0],
    AT,
    AT + timedelta(minutes=30),
)


def test_a_hold_says_until_when_it_waits() -> None:
    page = decision_html(record(Outcome.HOLD), hold=HOLD)
    assert read(page).text.count("On hold") == 2  # the title and the verdict
    assert "Waits for its evidence until 2026-11-24 10:35:07 UTC" in read(page).text
    shown = decision_json(record(Outcome.HOLD), hold=HOLD)["hold"]
    assert (shown["image"], shown["until"], shown["ended"]) == ("acme/app:1.0.0", "2026-11-24T10:35:07+00:00", "")
    assert SECRETS[0] not in page + repr(shown)


@pytest.mark.parametrize("ending", Ending)
def test_a_hold_that_has_ended_says_how_and_when(ending: Ending) -> None:
    ended = replace(HOLD, ended=AT + timedelta(minutes=5), ending=ending, problem=HOSTILE)
    page = decision_html(record(Outcome.HOLD), hold=ended)
    assert f"{ending.value.capitalize()} 2026-11-24 10:10:07 UTC: " in read(page).text
    assert "Waits" not in page
    assert "<script" not in page
    assert HARMLESS in page


def test_what_was_not_held_has_no_hold() -> None:
    assert decision_json(record())["hold"] is None


def test_a_refusal_before_there_was_an_upload_has_a_page_too() -> None:
    reason = Reason(Code.UPLOAD_MALFORMED, ":action", "one field :action", "2")
    decision = Decision(Outcome.REJECT, (), (reason,), "", "")
    early = Record("Vq3sYb0mRk2pXw8LzJ5tNg", AT, None, decision, "python", SECRETS[0])
    text = read(decision_html(early)).text
    assert "Refused" in text
    assert "An upload that breaks its protocol" in text
    assert "none matched" in text
    assert decision_json(early)["files"] == []
