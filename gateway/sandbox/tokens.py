"""Identity tokens: an issuer that vouches for any identity, with the claims of the provider it plays."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.model.identity import Identity
from gateway.sandbox import identities

AUDIENCE: Final = "sigstore"
LIFETIME: Final = timedelta(minutes=10)
_RSA_BITS: Final = 2048


class InvalidTokenError(ValueError):
    """A token that this issuer did not make, or not for this audience and time."""


class Issuer:
    """One RS256 key, as GitHub and GitLab have; fresh whenever it is made, and never kept."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        self.key_id = hashlib.sha256(
            self._key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        ).hexdigest()[:16]

    def jwks(self) -> dict[str, object]:
        """Return the public key as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.key_id,
            "n": _b64url(_unsigned(numbers.n)),
            "e": _b64url(_unsigned(numbers.e)),
        }
        return {"keys": [key]}

    def mint(
        self,
        identity: Identity,
        at: datetime,
        *,
        audience: str = AUDIENCE,
        lifetime: timedelta = LIFETIME,
        changes: Mapping[str, object] | None = None,
    ) -> str:
        """Return a token for this identity; `changes` sets single claims (None removes one)."""
        payload = claims(identity) | {
            "aud": audience,
            "iat": int(at.timestamp()),
            "nbf": int(at.timestamp()),
            "exp": int((at + lifetime).timestamp()),
            "jti": secrets.token_hex(16),
        }
        payload |= changes or {}
        payload = {name: value for name, value in payload.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key_id, "typ": "JWT"}
        signed = f"{_b64url(json.dumps(header).encode())}.{_b64url(json.dumps(payload).encode())}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_b64url(signature)}"

    def read(self, token: str, at: datetime, *, audience: str = AUDIENCE) -> dict[str, Any]:
        """Return the claims of a token of this issuer; raises `InvalidTokenError`."""
        signed, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_unb64url(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            document: dict[str, Any] = json.loads(_unb64url(signed.partition(".")[2]))
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise InvalidTokenError("not a token of this sandbox's issuer") from error
        if document.get("aud") != audience:
            raise InvalidTokenError(f"not a token for {audience}")
        if not document["nbf"] <= at.timestamp() < document["exp"]:
            raise InvalidTokenError("a token of another time")
        return document


def claims(identity: Identity) -> dict[str, Any]:
    """Return the claims that the provider of this identity would write, without those of audience and time."""
    if identity.repository is None:
        person: dict[str, Any] = {"iss": identity.issuer, "sub": identity.subject}
        if "@" in (identity.subject or "") and "://" not in (identity.subject or ""):
            person |= {"email": identity.subject, "email_verified": True}
        return person
    present = _gitlab_claims(identity) if identities.is_gitlab(identity) else _github_claims(identity)
    return {name: value for name, value in present.items() if value is not None}


def identity_of(document: Mapping[str, Any]) -> Identity:
    """Return the identity that `claims` wrote down."""
    if "job_workflow_ref" in document:
        return _github_identity(document)
    if "ci_config_ref_uri" in document:
        return _gitlab_identity(document)
    return identities.person(document["sub"], document["iss"])


def _github_claims(identity: Identity) -> dict[str, Any]:
    workflow_ref = f"{identity.repository}/{identity.workflow}@{identity.ref}"
    whence = f"environment:{identity.environment}" if identity.environment else f"ref:{identity.ref}"
    return {
        "iss": identity.issuer,
        "sub": f"repo:{identity.repository}:{whence}",
        "repository": identity.repository,
        "repository_id": identity.repository_id,
        "repository_owner": identity.owner,
        "repository_owner_id": identity.owner_id,
        "repository_visibility": identity.visibility,
        "ref": identity.ref,
        "ref_type": _ref_type(identity),
        "sha": identity.commit,
        "workflow": PurePosixPath(identity.workflow or "").stem.capitalize(),
        "workflow_ref": workflow_ref,
        "workflow_sha": identity.commit,
        "job_workflow_ref": identity.build_signer,
        "job_workflow_sha": identities.signer_digest(identity),
        "event_name": identity.trigger,
        "run_id": identity.run,
        "run_number": "1",
        "run_attempt": identity.attempt,
        "runner_environment": identity.runner,
        "environment": identity.environment,
        "actor": identity.owner,
        "actor_id": identity.owner_id,
        "enterprise": "",
    }


def _github_identity(document: Mapping[str, Any]) -> Identity:
    repository = document["repository"]
    return identities.github_identity(
        repository,
        document["workflow_ref"].removeprefix(f"{repository}/").rpartition("@")[0],
        document["ref"],
        document["runner_environment"],
        document["event_name"],
        build_signer=document["job_workflow_ref"],
        commit=document["sha"],
        repository_id=document["repository_id"],
        owner_id=document["repository_owner_id"],
        run=document["run_id"],
        attempt=document["run_attempt"],
        visibility=document["repository_visibility"],
        environment=document.get("environment"),
        issuer=document["iss"],
    )


def _gitlab_claims(identity: Identity) -> dict[str, Any]:
    name, kind = (identity.ref or "").removeprefix("refs/").partition("/")[2], _ref_type(identity)
    return {
        "iss": identity.issuer,
        "sub": f"project_path:{identity.repository}:ref_type:{kind}:ref:{name}",
        "project_path": identity.repository,
        "project_id": identity.repository_id,
        "project_visibility": identity.visibility,
        "namespace_path": identity.owner,
        "namespace_id": identity.owner_id,
        "ref": name,
        "ref_type": kind,
        "ref_path": identity.ref,
        "ref_protected": "true",
        "sha": identity.commit,
        "pipeline_source": identity.trigger,
        "pipeline_id": "1",
        "job_id": identity.run,
        "runner_environment": identity.runner,
        "ci_config_ref_uri": identities.signer_uri(identity).partition("://")[2],
        "ci_config_sha": identities.signer_digest(identity),
        "environment": identity.environment,
    }


def _gitlab_identity(document: Mapping[str, Any]) -> Identity:
    signer = document["ci_config_ref_uri"].partition("/")[2]
    return identities.gitlab_identity(
        document["project_path"],
        signer.partition("//")[2].rpartition("@")[0],
        document["ref_path"],
        document["runner_environment"],
        document["pipeline_source"],
        build_signer=signer,
        commit=document["sha"],
        repository_id=document["project_id"],
        owner_id=document["namespace_id"],
        run=document["job_id"],
        visibility=document["project_visibility"],
        environment=document.get("environment"),
        issuer=document["iss"],
    )


def _ref_type(identity: Identity) -> str:
    return "tag" if (identity.ref or "").startswith("refs/tags/") else "branch"


def _unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
