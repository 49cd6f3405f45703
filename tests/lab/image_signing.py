"""Evidence for an image as manifests that clients push, signed in the sandbox of a test."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from gateway.ecosystems.oci_evidence import SIMPLE_SIGNING
from gateway.ecosystems.oci_manifest import IMAGE
from gateway.model.identity import Identity
from gateway.sandbox import Sandbox, Shape, github_identity
from tests.lab.image_gate import Answered, ImageGate, sha256
from tests.lab.manifests import CONFIG, NOTHING, cosign_config, described, dumped, image, referrer
from tests.lab.signers import clock

OURS = github_identity()


def sandbox_in(folder: Path) -> Sandbox:
    """A sandbox that a gate of this folder trusts; to be made before the gate."""
    made = Sandbox.create(clock())
    made.save(folder / "roots" / "sandbox")
    return made


def signature(sandbox: Sandbox, digest: str, by: Identity = OURS, shape: Shape | None = None) -> bytes:
    """A bundle that says of an image what cosign 3 says of it."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": digest.removeprefix("sha256:")}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }
    return sandbox.sign_statement(statement, by, clock(), shape=shape)


async def attach(gate: ImageGate, repository: str, digest: str, bundle: bytes, *, token: str | None = None) -> Answered:
    """Push a bundle as a referrer."""
    for blob in (NOTHING, bundle):
        await gate.blob(repository, blob, token)
    body = dumped(referrer(bundle, subject=described(IMAGE, b"") | {"digest": digest}))
    return await put(gate, repository, sha256(body), body, token=token)


def payload(digest: str, **more: Any) -> bytes:
    """What cosign signs of an image in its older way, and `more` beside it."""
    critical = {
        "identity": {"docker-reference": "registry.example/team/app"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return dumped({"critical": critical, "optional": None} | more)


async def attach_legacy(
    gate: ImageGate, sandbox: Sandbox, repository: str, digest: str, signed: bytes, by: Identity = OURS
) -> Answered:
    """Sign a payload and push it in cosign's older way, under the image's own tag for that."""
    made = json.loads(sandbox.sign_digest(hashlib.sha256(signed).digest(), by, clock(), shape=Shape.LOG_V1))
    material = made["verificationMaterial"]
    (entry,) = material["tlogEntries"]
    logged = {
        "body": entry["canonicalizedBody"],
        "integratedTime": int(entry["integratedTime"]),
        "logIndex": int(entry["logIndex"]),
        "logID": b64decode(entry["logId"]["keyId"]).hex(),
    }
    promise = {"Payload": logged, "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"]}
    certificate = material["certificate"]["rawBytes"]
    annotations = {
        "dev.cosignproject.cosign/signature": made["messageSignature"]["signature"],
        "dev.sigstore.cosign/certificate": f"-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n",
        "dev.sigstore.cosign/bundle": json.dumps(promise),
    }
    config = cosign_config(signed)
    for blob in (config, signed):
        await gate.blob(repository, blob)
    layer = described(SIMPLE_SIGNING, signed, annotations=annotations)
    body = dumped(image(config=described(CONFIG, config), layers=[layer]))
    return await put(gate, repository, digest.replace(":", "-") + ".sig", body)


async def put(gate: ImageGate, repository: str, reference: str, body: bytes, *, token: str | None = None) -> Answered:
    """Push a manifest."""
    return await gate.ask("PUT", f"/v2/{repository}/manifests/{reference}", body, token=token, Content_Type=IMAGE)
