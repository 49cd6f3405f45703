"""The transparency logs: Rekor v1 (ECDSA, promises) and Rekor v2 (Ed25519, checkpoints alone)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import rfc8785
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway.sandbox import keys
from gateway.sandbox.merkle import Tree

V1_HOST: Final = "rekor.sandbox.invalid"
V2_HOST: Final = "log2.rekor.sandbox.invalid"
# Rekor v1 counts over all its shards, a proof within one: the two indexes of an entry differ there.
SHARD_OFFSET: Final = 4_163_431
_SHARD: Final = 1_193_050_959
_OLDER_ENTRIES: Final = 5  # so that the first proof has hashes too


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry as a bundle carries it; `integrated` and `promise` are Rekor v1's."""

    log_id: bytes
    kind: str
    version: str
    body: bytes
    log_index: int
    proof_index: int
    tree_size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str | None
    integrated: int | None = None
    promise: bytes | None = None
    proof: bool = True

    @property
    def leaf(self) -> bytes:
        """The entry's hash in the tree."""
        return hashlib.sha256(b"\x00" + self.body).digest()

    def to_json(self) -> dict[str, object]:
        """Return the entry as a bundle's `tlogEntries` holds it; a zero is written out, as sigstore-python demands."""
        entry: dict[str, object] = {
            "logIndex": str(self.log_index),
            "logId": {"keyId": keys.b64(self.log_id)},
            "kindVersion": {"kind": self.kind, "version": self.version},
        }
        if self.integrated is not None:
            entry["integratedTime"] = str(self.integrated)
        if self.promise is not None:
            entry["inclusionPromise"] = {"signedEntryTimestamp": keys.b64(self.promise)}
        if self.proof:
            proof: dict[str, object] = {
                "logIndex": str(self.proof_index),
                "rootHash": keys.b64(self.root),
                "treeSize": str(self.tree_size),
                "hashes": [keys.b64(value) for value in self.hashes],
            }
            if self.checkpoint is not None:
                proof["checkpoint"] = {"envelope": self.checkpoint}
            entry["inclusionProof"] = proof
        entry["canonicalizedBody"] = keys.b64(self.body)
        return entry


@dataclass(frozen=True, slots=True)
class Log:
    """One log: its key and everything it took in. Not for two writers at once."""

    key: keys.PrivateKey
    tree: Tree = field(default_factory=Tree)

    @classmethod
    def create(cls, key: keys.PrivateKey) -> Log:
        """Start a log with some entries of nobody's."""
        log = cls(key)
        for number in range(_OLDER_ENTRIES):
            log.tree.append(f"an older entry of this sandbox: {number}".encode())
        return log

    @property
    def second(self) -> bool:
        """Whether this is a Rekor v2."""
        return isinstance(self.key, ed25519.Ed25519PrivateKey)

    @property
    def host(self) -> str:
        """The host of the log's address, with which its checkpoints begin (sigstore-js compares the two)."""
        return V2_HOST if self.second else V1_HOST

    @property
    def id(self) -> bytes:
        """The log's id: of the key alone for v1, of origin and key for v2 (C2SP signed-note)."""
        if not isinstance(self.key, ed25519.Ed25519PrivateKey):
            return keys.key_id(self.key)
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return hashlib.sha256(self.host.encode() + b"\n\x01" + raw).digest()

    def append(self, body: dict[str, object], at: datetime) -> LogEntry:
        """Take in an entry body and return it with proof, checkpoint and, from v1, the promise."""
        data = rfc8785.dumps(body)  # type: ignore[arg-type]
        index = self.tree.append(data)
        root = self.tree.root()
        entry = LogEntry(
            log_id=self.id,
            kind=str(body["kind"]),
            version=str(body["apiVersion"]),
            body=data,
            log_index=index if self.second else index + SHARD_OFFSET,
            proof_index=index,
            tree_size=len(self.tree),
            root=root,
            hashes=self.tree.path(index),
            checkpoint=self.checkpoint(len(self.tree), root),
        )
        return entry if self.second else self.promised(entry, at)

    def promised(self, entry: LogEntry, at: datetime) -> LogEntry:
        """Return the entry with a promise of inclusion, signed with its time (Rekor's signed entry timestamp)."""
        integrated = int(at.timestamp())
        signed = rfc8785.dumps(
            {
                "body": keys.b64(entry.body),
                "integratedTime": integrated,
                "logID": entry.log_id.hex(),
                "logIndex": entry.log_index,
            }
        )
        return replace(entry, integrated=integrated, promise=keys.sign(self.key, signed))

    def checkpoint(self, size: int, root: bytes, *, signature_of: bytes | None = None) -> str:
        """Return the signed note over a size and a root; `signature_of` makes it a signature of something else."""
        origin = self.host if self.second else f"{self.host} - {_SHARD}"
        note = f"{origin}\n{size}\n{keys.b64(root)}\n"
        signature = keys.sign(self.key, signature_of or note.encode())
        return f"{note}\n\N{EM DASH} {self.host} {keys.b64(self.id[:4] + signature)}\n"
