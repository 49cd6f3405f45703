"""One file a protocol: recognise a request, read an `Upload` from it, render a decision for its own client."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from gateway.ecosystems.npm import Npm
from gateway.ecosystems.oci import Oci
from gateway.ecosystems.protocol import Ecosystem, Packages
from gateway.ecosystems.pypi import PyPI

# The explicit table: a new protocol is one file and one line here, and gets the contract tests by being in it.
PACKAGES: Final[Mapping[str, Packages]] = MappingProxyType({"pypi": PyPI(), "npm": Npm()})
ECOSYSTEMS: Final[Mapping[str, Ecosystem]] = MappingProxyType({**PACKAGES, "oci": Oci()})
