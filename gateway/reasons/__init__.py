"""The closed catalogue of codes, and `Reason`: one thing wrong, said so that somebody can act on it."""

from gateway.reasons.catalogue import CATALOGUE, Code, Entry, Kind
from gateway.reasons.reason import Reason, ascii_text, one_line

__all__ = ["CATALOGUE", "Code", "Entry", "Kind", "Reason", "ascii_text", "one_line"]
