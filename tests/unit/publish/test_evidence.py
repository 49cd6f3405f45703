"""What becomes of evidence on its way to a decision."""

from __future__ import annotations

import logging

import pytest

from gateway.model.evidence import EvidenceRef, Finding, Format, Source
from gateway.publish.evidence import _alert
from gateway.reasons import Code, Reason


def _finding(code: Code) -> Finding:
    ref = EvidenceRef("e" * 64, Format.BUNDLE, Source.LOCKER)
    return Finding(ref, "public", reasons=(Reason(code, "a", got="x\ny"),))


def test_two_verifiers_that_disagree_alert_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    _alert([_finding(Code.SIGNATURE_INVALID), _finding(Code.SECOND_OPINION_DIFFERS)])
    (alert,) = caplog.records
    assert alert.levelno == logging.CRITICAL
    assert "second-opinion-differs" in alert.getMessage()
    assert "\n" not in alert.getMessage()
