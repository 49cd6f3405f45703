"""Whether an entry is in a log: its inclusion proof, under a checkpoint that the log signed."""

from __future__ import annotations

import hashlib
from typing import Final

from gateway.verification import merkle
from gateway.verification.bundle import InclusionProof, LogEntry
from gateway.verification.checkpoint import Checkpoint
from gateway.verification.memory import Memory
from gateway.verification.trust_root import Log

# Entries of one batch of Rekor v2 share their checkpoint.
_CHECKPOINTS: Final[Memory[tuple[bytes, bytes], bool]] = Memory(4096)


def forget() -> None:
    """Forget every checkpoint that was proved."""
    _CHECKPOINTS.clear()


def fault(entry: LogEntry, version: int, log: Log) -> str:
    """Say why an entry of a bundle of this version is not shown to be in the log, or return an empty text.

    Only v0.1 may do with the log's promise, which the caller verified; a proof that comes beside it must hold too.
    """
    proof = entry.proof
    if version == 1:
        if entry.promise is None or entry.time is None:
            return "no promise, which a bundle of version 0.1 must have"
        if proof is None or proof.checkpoint is None:
            return ""
    if proof is None or proof.checkpoint is None:
        return "no inclusion proof with a checkpoint"
    return _proof_fault(entry, proof, proof.checkpoint, log)


def _proof_fault(entry: LogEntry, proof: InclusionProof, checkpoint: Checkpoint, log: Log) -> str:
    if entry.time is None and entry.index != proof.index:
        return "two places for one entry"  # only Rekor v1 has shards, which count from their own start
    if (checkpoint.root, checkpoint.size) != (proof.root, proof.size):
        return "a checkpoint of another tree"
    if merkle.root_of(merkle.leaf_hash(entry.body), proof.index, proof.size, proof.hashes) != proof.root:
        return "a proof that leads to another tree"
    key = (log.key.fingerprint, hashlib.sha256(checkpoint.envelope.encode()).digest())
    signed = _CHECKPOINTS.proved(key, lambda: _signed(checkpoint, log))
    return "" if signed else "a checkpoint that the log did not sign"


def _signed(checkpoint: Checkpoint, log: Log) -> bool | None:
    """Whether one of the lines is the log's; None is no, so that only a yes is remembered."""
    signed = (
        line.name == checkpoint.signer and line.hint == log.hint and log.key.signed(line.signature, checkpoint.note)
        for line in checkpoint.signatures
    )
    return any(signed) or None
