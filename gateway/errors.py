"""Faults of our own, of the operator's files and of the registry; a verdict is never an exception.

Four families, told apart by whose fault it is and who must act:

* `Malformed`: bytes from a client, a package or a piece of evidence break the format they claim. Raised only at a
  parser's edge (`strict`, `verification`, `ecosystems`) and turned into a `Reason` there.
* `ConfigurationError`: an operator's file is wrong. Names the file, the line and the mend.
* `UpstreamError`: the registry behind the gate is down, slow, or answered what its protocol does not allow.
* `StoreError`: the record cannot be written. No record, no forward.
"""

from __future__ import annotations


class GatewayError(Exception):
    """The common base of every fault this package raises on purpose."""


class Malformed(GatewayError):
    """Bytes that do not follow the format they claim; `about` says which part, `problem` says why.

    Both may hold the attacker's text: whoever shows them escapes them.
    """

    def __init__(self, about: str, problem: str) -> None:
        super().__init__(f"{about}: {problem}")
        self.about = about
        self.problem = problem


class TooLarge(Malformed):
    """A bound of `gateway.limits` was passed; `limit` names the bound's value and unit."""

    def __init__(self, about: str, limit: str) -> None:
        super().__init__(about, f"larger than the limit of {limit}")
        self.limit = limit


class ConfigurationError(GatewayError):
    """An operator's file is wrong; `problems` holds one line each, as `file:line:column: what, and how to mend it`."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class UpstreamError(GatewayError):
    """The registry did not answer as its protocol says; `registry` names it, `problem` says what happened."""

    def __init__(self, registry: str, problem: str) -> None:
        super().__init__(f"{registry}: {problem}")
        self.registry = registry
        self.problem = problem


class StoreError(GatewayError):
    """The record could not be read or written."""
