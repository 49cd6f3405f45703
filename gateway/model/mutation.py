"""`Mutation`: a change of what a registry says of a package without an upload, such as moving a tag."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is changed, of which package. `what` is in the words of the client's own command."""

    purl: str
    name: str
    what: str
