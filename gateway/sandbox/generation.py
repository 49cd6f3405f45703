"""`Generation`: one complete set of keys (authority, certificate log, logs, time stamps) with its window of trust."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gateway.sandbox import keys
from gateway.sandbox.authority import Authority, CertificateLog
from gateway.sandbox.log import Log
from gateway.sandbox.timestamps import TimestampAuthority


@dataclass(frozen=True, slots=True)
class Generation:
    """Everything that signs, trusted from `starts` until `ends` (None: still)."""

    starts: datetime
    ends: datetime | None
    authority: Authority
    certificates: CertificateLog
    log_v1: Log
    log_v2: Log
    timestamps: TimestampAuthority

    @classmethod
    def create(cls, starts: datetime, ends: datetime | None = None) -> Generation:
        """Make a generation of fresh keys."""
        return cls(
            starts,
            ends,
            Authority.create(starts),
            CertificateLog(keys.p256()),
            Log.create(keys.p256()),
            Log.create(keys.ed25519_key()),
            TimestampAuthority.create(starts),
        )

    def covers(self, at: datetime) -> bool:
        """Whether the trust root trusts these keys at this time."""
        return self.starts <= at and (self.ends is None or at <= self.ends)
