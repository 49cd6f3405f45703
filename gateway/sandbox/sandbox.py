"""`Sandbox`: a whole Sigstore in memory, which signs as anybody on request. Trust nothing that it signs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.errors import ConfigurationError
from gateway.model.identity import Identity
from gateway.model.marker import SANDBOX_ORGANIZATION
from gateway.sandbox import roots, spoil, statements, storage
from gateway.sandbox.generation import Generation
from gateway.sandbox.signing import IN_TOTO, Generations, Signing
from gateway.sandbox.spoil import Shape, Spoil

_YEAR: Final = timedelta(days=365)
_README: Final = (
    f"{SANDBOX_ORGANIZATION}\n\nAnybody can sign as anybody with the keys in this directory.\n"
    "A gateway admits them only with `sandbox: true`, and then listens on loopback alone.\n"
)


class Sandbox:
    """Two generations of keys: one in use for the last year, and the retired one of the year before.

    Not safe for two threads or processes at once: its logs grow with every signature.
    """

    def __init__(self, generations: list[Generation]) -> None:
        self.generations = generations
        self._stranger: Generation | None = None

    @classmethod
    def create(cls, now: datetime) -> Sandbox:
        """Make a sandbox of fresh keys, that can sign for any time from two years before `now`."""
        now = _second(now)
        return cls([Generation.create(now - 2 * _YEAR, now - _YEAR), Generation.create(now - _YEAR)])

    @classmethod
    def load(cls, directory: Path) -> Sandbox:
        """Read a sandbox that `save` wrote; raises `ConfigurationError`."""
        generations = storage.read(directory)
        if not generations:
            raise ConfigurationError(f"{directory}: a sandbox without keys; make a new one")
        return cls(generations)

    def save(self, directory: Path) -> None:
        """Write keys and logs (0600) with `trusted_root.json` and `trust_root.yaml`: a directory of `trust_roots/`."""
        public = {
            roots.TRUSTED_ROOT: self.trusted_root(),
            "trust_root.yaml": self.trust_root_yaml().encode(),
            "README": _README.encode(),
        }
        storage.write(directory, self.generations, public)

    def trusted_root(self) -> bytes:
        """Return `trusted_root.json`, with the windows of both generations."""
        return roots.to_bytes(roots.trusted_root(self.generations))

    def trust_root_yaml(self, *, sct: int = 1, log: int = 1, timestamp: int = 0) -> str:
        """Return the gateway's `trust_root.yaml`; the default thresholds are the public instance's."""
        return roots.trust_root_yaml(self._newest.starts + _YEAR, sct=sct, log=log, timestamp=timestamp)

    def client_trust_config(self, base_url: str, *, second_log: bool = False) -> bytes:
        """Return what real signers need to sign against this sandbox, served under `base_url` (no slash at its end)."""
        made = self._newest.starts
        return roots.to_bytes(roots.client_trust_config(self.generations, base_url, made, second_log=second_log))

    def sign_statement(
        self,
        statement: Mapping[str, Any] | bytes,
        signer: Identity,
        at: datetime,
        *,
        spoil: Spoil | None = None,
        shape: Shape | None = None,
        changes: Mapping[int, str | None] | None = None,
        payload_type: str = IN_TOTO,
    ) -> bytes:
        """Sign a statement in a DSSE envelope and return the bundle (v0.3).

        `changes` replaces the text of single Fulcio extensions by their last arc (None removes one). A `spoil` that
        does not fit the shape is a ValueError: a fault that was asked for is always made.
        """
        signing = self._signing(signer, at, spoil, shape, changes)
        _must_fit(signing, statements_only=False)
        return signing.envelope(statements.to_bytes(statement), payload_type)

    def sign_digest(
        self,
        sha256: bytes,
        signer: Identity,
        at: datetime,
        *,
        spoil: Spoil | None = None,
        shape: Shape | None = None,
        changes: Mapping[int, str | None] | None = None,
    ) -> bytes:
        """Sign what has this digest and return the bundle (v0.3) with a message signature."""
        signing = self._signing(signer, at, spoil, shape, changes)
        _must_fit(signing, statements_only=True)
        return signing.digest(sha256)

    def attest(
        self,
        statement: Mapping[str, Any] | bytes,
        signer: Identity,
        at: datetime,
        *,
        spoil: Spoil | None = None,
        changes: Mapping[int, str | None] | None = None,
    ) -> bytes:
        """Sign a statement and return it as a PEP 740 attestation object, which holds no payload type to alter."""
        if spoil is Spoil.PAYLOAD_TYPE_ALTERED:
            raise ValueError(f"{spoil.value} cannot be done to a PEP 740 attestation")
        return pep740(self.sign_statement(statement, signer, at, spoil=spoil, shape=Shape.LOG_V1, changes=changes))

    @property
    def _newest(self) -> Generation:
        return max(self.generations, key=lambda generation: generation.starts)

    def generation(self, at: datetime) -> Generation:
        """Return the keys in use at this time; before the first ones it is a ValueError."""
        trusted = [generation for generation in self.generations if generation.covers(at)]
        if not trusted:
            raise ValueError(f"this sandbox had no keys at {at.isoformat()}")
        return max(trusted, key=lambda generation: generation.starts)

    def _signing(
        self,
        signer: Identity,
        at: datetime,
        spoiled: Spoil | None,
        shape: Shape | None,
        changes: Mapping[int, str | None] | None,
    ) -> Signing:
        at = _second(at)
        current = self.generation(at)
        if self._stranger is None:
            self._stranger = Generation.create(self.generations[0].starts)
        retired = min(self.generations, key=lambda generation: generation.starts)
        if spoiled is not None and spoiled.value.endswith("-retired") and retired.covers(at):
            raise ValueError(f"no key of this sandbox was retired at {at.isoformat()}")
        generations = Generations(current, retired, self._stranger)
        return Signing(generations, signer, at, shape or spoil.usual_shape(spoiled), spoiled, changes)


def pep740(bundle: bytes) -> bytes:
    """Return the PEP 740 attestation object that holds what a bundle of a statement holds."""
    document = json.loads(bundle)
    material, envelope = document["verificationMaterial"], document["dsseEnvelope"]
    return json.dumps(
        {
            "version": 1,
            "verification_material": {
                "certificate": material["certificate"]["rawBytes"],
                "transparency_entries": material["tlogEntries"],
            },
            "envelope": {"statement": envelope["payload"], "signature": envelope["signatures"][0]["sig"]},
        }
    ).encode()


def _second(at: datetime) -> datetime:
    """Return the time in UTC without a fraction, which certificates and logs cannot hold."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC).replace(microsecond=0)


def _must_fit(signing: Signing, *, statements_only: bool) -> None:
    if signing.spoil is None:
        return
    fits = spoil.of_digests if statements_only else spoil.of_statements
    if signing.shape not in spoil.shapes(signing.spoil) or not fits(signing.spoil):
        raise ValueError(f"{signing.spoil.value} cannot be done to {signing.shape.value}")
