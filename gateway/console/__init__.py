"""Pages for people: pure renderings of a record and of the catalogue; who serves them sends `SECURITY_HEADERS`."""

from gateway.console.decision import decision_html, decision_json
from gateway.console.hold import ShownHold, shown_hold
from gateway.console.reasons import reason_html, reason_markdown, reasons_index_html
from gateway.console.templating import SECURITY_HEADERS

__all__ = [
    "SECURITY_HEADERS",
    "ShownHold",
    "decision_html",
    "decision_json",
    "reason_html",
    "reason_markdown",
    "reasons_index_html",
    "shown_hold",
]
