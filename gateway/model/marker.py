"""The marks by which a sandbox Sigstore's certificates are known and refused under any root name (CONTRACTS G.1)."""

from __future__ import annotations

from typing import Final

# A UUID-derived arc (ITU-T X.667), so that it belongs to nobody else.
SANDBOX_OID: Final = "2.25.221803046283474091385203571940623811794"
SANDBOX_ORGANIZATION: Final = "provgate sandbox - not for production"
