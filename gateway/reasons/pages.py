"""The page of a code: markdown shipped with the package, so that it can be read where no network is."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from gateway.reasons.catalogue import Code


@cache
def page(code: Code) -> str:
    """Return the page of one code as markdown."""
    return (files("gateway.reasons") / "pages" / f"{code.value}.md").read_text(encoding="utf-8")
