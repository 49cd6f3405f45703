"""The marks by which a sandbox Sigstore's certificates are known and refused under any root name (CONTRACTS G.1)."""

from __future__ import annotations

from typing import Final

# Below 2.999, the arc that ITU-T X.660 keeps for examples: nobody else's, and short enough for Go's X.509 parser, which
# refuses arcs over 31 bits (a UUID's arc shut cosign out).
SANDBOX_OID: Final = "2.999.57264.1"
SANDBOX_ORGANIZATION: Final = "provgate sandbox - not for production"
