"""The engines that verify the same bundles, and the bundles: real ones where they are, else the sandbox's."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Protocol
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sigstore.hashes import Hashed
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm

from gateway import limits
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.reasons import Code
from gateway.sandbox import Sandbox, Shape, github_identity, slsa_provenance
from gateway.verification import TRUSTED_ROOT, TrustRoot, TrustRootSettings, build_trust_root, verify
from gateway.verification.keys import PublicKey
from gateway.verification.verifier import forget

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
PUBLIC_GOOD = ROOT / "trust_roots" / "sigstore-public-good" / TRUSTED_ROOT
NODE_MODULES = Path(os.environ.get("PROVGATE_NODE_MODULES") or ROOT / ".tools" / "node_modules")
_HASHERS: Mapping[str, Callable[[bytes], Any]] = {
    "sha256": hashlib.sha256,
    "sha384": hashlib.sha384,
    "sha512": hashlib.sha512,
}
CONTENT = b"the bytes of a wheel"


@dataclass(frozen=True)
class Case:
    """A bundle that verifies; `most` is how many times the bare signatures it may cost."""

    name: str
    most: float
    bundle: bytes
    artifact: bytes
    trusted: bytes
    thresholds: tuple[int, int, int]  # certificate log, log, timestamp

    @property
    def enveloped(self) -> bool:
        """Whether it signs a statement, not a file."""
        return "dsseEnvelope" in json.loads(self.bundle)

    @property
    def sha256(self) -> bytes:
        return hashlib.sha256(self.artifact).digest()


# Name, the ratio allowed, bundle, artifact, trusted root, thresholds; and the sandbox's shape in its stead.
_REAL = (
    ("Rekor v1, DSSE", 1.4, "happy-path-intoto-in-dsse-v3", (1, 1, 0), Shape.LOG_V1, True),
    ("Rekor v1, signature", 1.4, "happy-path-v0.3", (1, 1, 0), Shape.LOG_V1, False),
    ("Rekor v2, DSSE + timestamp", 1.25, "rekor2-dsse-happy-path", (1, 1, 0), Shape.LOG_V2, True),
    ("Rekor v2, signature + timestamp", 1.25, "rekor2-happy-path", (1, 1, 0), Shape.LOG_V2, False),
    ("timestamp only", 1.25, "github", (0, 0, 1), Shape.TIMESTAMP, True),
)


def cases(now: datetime) -> list[Case]:
    """Each shape once."""
    if DATA.is_dir():
        return [Case(name, most, *_real(folder), thresholds) for name, most, folder, thresholds, _, _ in _REAL]
    made = Sandbox.create(now)
    return [
        Case(name, most, _made(made, shape, now, enveloped), CONTENT, made.trusted_root(), thresholds)
        for name, most, _, thresholds, shape, enveloped in _REAL
    ]


def _real(folder: str) -> tuple[bytes, bytes, bytes]:
    if folder == "github":
        here = DATA / "github-cli"
        name = "github_provenance_demo-0.0.12-py3-none-any"
        files = (here / f"{name}-bundle.jsonl", here / f"{name}.whl", here / "github-instance-trusted_root.json")
    else:
        here = DATA / "sigstore-conformance"
        own = here / folder / TRUSTED_ROOT
        files = (here / folder / "bundle.sigstore.json", here / "a.txt", own if own.exists() else PUBLIC_GOOD)
    bundle, artifact, trusted = (file.read_bytes() for file in files)
    return bundle, artifact, trusted


def _made(sandbox: Sandbox, shape: Shape, now: datetime, enveloped: bool) -> bytes:  # noqa: FBT001
    builder = github_identity()
    if not enveloped:
        return sandbox.sign_digest(hashlib.sha256(CONTENT).digest(), builder, now, shape=shape)
    subject = ("bench.whl", {"sha256": hashlib.sha256(CONTENT).hexdigest()})
    return sandbox.sign_statement(slsa_provenance([subject], builder), builder, now, shape=shape)


class Engine(Protocol):
    """Verifies a case some times; returns seconds for each, or nothing where it does not know the kind."""

    def burst(self, case: Case, count: int) -> list[float]: ...


class Own:
    """The gateway's core from bytes to `Attestation`; with fresh memories every time, or with what it saw before."""

    def __init__(self, now: datetime, *, seen: bool = False, second_opinion: bool = False) -> None:
        self._now = now
        self._seen = seen
        self._second_opinion = second_opinion

    def once(self, case: Case) -> Callable[[], None]:
        """A verification that raises where the case is not accepted; the root is built once, as a gateway does."""
        ref = EvidenceRef(hashlib.sha256(case.bundle).hexdigest(), Format.BUNDLE, Source.REQUEST)
        evidence, root = Evidence(ref, case.bundle), root_of(case)
        files = [(Digest("sha256", case.sha256.hex()),)]

        def once() -> None:
            (found,) = verify(
                evidence, [root], files, self._now, allow_sandbox=True, second_opinion=self._second_opinion
            )
            if found.attestation is None:
                raise RuntimeError(f"{case.name} does not verify: {found.reasons}")

        return once

    def junk(self, case: Case) -> Callable[[], None]:
        """A verification of as many values as a document may hold, in as many bytes: the longest that one takes."""
        body = b'{"mediaType":[' + b"{}," * (limits.JSON_TOKENS // 2 - 16) + b"{}]"
        body += b" " * (limits.EVIDENCE_BYTES - len(body) - 1) + b"}"
        evidence = Evidence(EvidenceRef(hashlib.sha256(body).hexdigest(), Format.BUNDLE, Source.REQUEST), body)
        root = root_of(case)

        def once() -> None:
            (found,) = verify(evidence, [root], [], self._now, second_opinion=False)
            if [reason.code for reason in found.reasons] != [Code.EVIDENCE_MALFORMED]:
                raise RuntimeError(f"junk is not read to its end: {found.reasons}")

        return once

    def burst(self, case: Case, count: int) -> list[float]:
        call = self.once(case)
        call()
        return [timed(call, before=_keep if self._seen else forget) for _ in range(count)]


class Bare:
    """What every verifier must do and nothing else: the signatures that our core found good, and what it hashed.

    Each signature once and each text once: what a signature is over, the statement, the entry and its tree. Not in
    it: reading anything, keys and certificates too.
    """

    def __init__(self, own: Own) -> None:
        self._own = own
        self._checks: dict[str, list[Callable[[], object]]] = {}
        self.kinds: dict[str, Counter[str]] = {}

    def burst(self, case: Case, count: int) -> list[float]:
        if case.name not in self._checks:
            self._record(case)
        checks = self._checks[case.name]

        def check() -> None:
            for one in checks:
                one()

        return [timed(check) for _ in range(count)]

    def _record(self, case: Case) -> None:
        found = self._checks[case.name] = []
        kinds = self.kinds[case.name] = Counter[str]()
        hashed = set[tuple[str, bytes]]()
        call = self._own.once(case)
        forget()

        def signed(key: object, check: Callable[[], object]) -> None:
            found.append(check)
            kinds[_kind(key)] += 1

        def hashes(name: str, data: bytes) -> None:
            if (name, data) not in hashed:
                hashed.add((name, data))
                found.append(partial(_hash, name, data))

        with _watched(signed, hashes):
            call()
        for check in found:
            check()


def _hash(name: str, data: bytes) -> None:
    _HASHERS[name](data).digest()


@contextmanager
def _watched(
    signed: Callable[[Any, Callable[[], object]], object], hashes: Callable[[str, bytes], object]
) -> Iterator[None]:
    """Watch the two places where a signature is checked, over anything and over a certificate, and where is hashed."""
    from gateway.verification import certificate, entry, keys, merkle, timestamp  # noqa: PLC0415

    holds, signed_by = vars(keys)["_holds"], vars(certificate)["_verify_signature"]

    def watched_holds(verify: Any, *arguments: object) -> bool:
        good: bool = holds(verify, *arguments)
        if good:
            signed(verify.__self__, partial(verify, *arguments))
        return good

    def watched_signed(child: x509.Certificate, key: PublicKey) -> None:
        signed_by(child, key)
        over = (child.signature, child.tbs_certificate_bytes)
        extra: list[Any] = [child.signature_algorithm_parameters, child.signature_hash_algorithm]
        kept = {"Ed25519": 0, "RSA": 2}.get(_kind(key.public), 1)
        verify: Any = key.public.verify
        signed(key.public, partial(verify, *over, *extra[:kept]))

    def watched_hash(name: str, data: bytes) -> Any:
        hashes(name, data)
        return _HASHERS[name](data)

    hashers = {name: partial(watched_hash, name) for name in _HASHERS}
    with (
        patch.object(keys, "_holds", watched_holds),
        patch.object(certificate, "_verify_signature", watched_signed),
        patch.dict(vars(keys)["_DIGESTS"], hashers),
        patch.dict(vars(entry)["_HASHERS"], hashers),
        patch.dict(vars(timestamp)["_HASHERS"], hashers),
        patch.object(merkle, "hashlib", SimpleNamespace(**hashers)),
    ):
        yield


def _kind(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}[key.curve.name]
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else "Ed25519"


class _Anyone:
    def verify(self, cert: x509.Certificate) -> None:
        """Accept every signer: identities are decided elsewhere for the other engines too."""


class SigstorePython:
    """sigstore-python by its public API, its root read once; all kinds but those without a log entry."""

    def __init__(self) -> None:
        self._verifiers: dict[bytes, Verifier] = {}

    def burst(self, case: Case, count: int) -> list[float]:
        if case.thresholds[1] == 0:
            return []
        engine = self._verifier(case.trusted)
        hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=case.sha256)
        enveloped = case.enveloped

        def verify() -> None:
            bundle = Bundle.from_json(case.bundle)
            if enveloped:
                engine.verify_dsse(bundle, _Anyone())
            else:
                engine.verify_artifact(hashed, bundle, _Anyone())

        verify()
        return [timed(verify) for _ in range(count)]

    def _verifier(self, trusted: bytes) -> Verifier:
        if trusted not in self._verifiers:
            with TemporaryDirectory() as folder:
                path = Path(folder) / TRUSTED_ROOT
                path.write_bytes(trusted)
                self._verifiers[trusted] = Verifier(trusted_root=TrustedRoot.from_file(str(path)))
        return self._verifiers[trusted]


class SigstoreJs:
    """sigstore-js in one process of node that stays, timed inside it."""

    def __init__(self, node: str) -> None:
        self._process = subprocess.Popen(
            [node, Path(__file__).with_name("sigstore_js.cjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "NODE_PATH": str(NODE_MODULES)},
        )

    @staticmethod
    def found() -> SigstoreJs | None:
        node = shutil.which("node")
        return SigstoreJs(node) if node and (NODE_MODULES / "@sigstore" / "verify").is_dir() else None

    def burst(self, case: Case, count: int) -> list[float]:
        sct, log, stamp = case.thresholds
        asked = {
            "bundle": case.bundle.decode(),
            "artifact": None if case.enveloped else base64.b64encode(case.artifact).decode(),
            "root": case.trusted.decode(),
            "thresholds": {"ctlogThreshold": sct, "tlogThreshold": log, "timestampThreshold": stamp or 1},
            "count": count,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return [milliseconds / 1000 for milliseconds in answer.get("times", [])]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def root_of(case: Case) -> TrustRoot:
    """The trust root of a case, as an operator configures it."""
    settings = {
        "kind": "sigstore",
        "source": {"file": TRUSTED_ROOT},
        "owner": "bench",
        "thresholds": dict(zip(("sct", "log", "timestamp"), case.thresholds, strict=True)),
    }
    return build_trust_root("bench", TrustRootSettings.model_validate(settings), {TRUSTED_ROOT: case.trusted})


def timed(call: Callable[[], None], *, before: Callable[[], None] | None = None) -> float:
    """Seconds that a call takes."""
    if before is not None:
        before()
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _keep() -> None:
    """Leave the memories as they are."""
