"""What others say of the sandbox's bundles: sigstore-python and sigstore-js accept the good and refuse the spoiled."""

import base64
import json
import logging
import os
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
from pydantic import ValidationError
from sigstore.errors import Error as SigstoreError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity as IdentityPolicy

from gateway.model.identity import Identity
from gateway.sandbox import Shape, Spoil, github_identity, gitlab_identity, person
from gateway.sandbox.spoil import of_digests, of_statements, shapes
from tests.lab import sigstore as lab
from tests.lab import tools

SCRIPT = Path(lab.__file__).with_name("sigstore_js.cjs")
STATEMENT, DIGEST = "statement", "digest"
Case = tuple[Spoil | None, Shape, str]

# A reusable workflow of another repository, a job of GitLab's, a person, a machine.
SIGNERS = {
    "github": github_identity(),
    "reusable": github_identity(build_signer="acme/ci/.github/workflows/build.yml@refs/tags/v3"),
    "gitlab": gitlab_identity(),
    "person": person(),
    "machine": person("spiffe://acme.example/builder", "https://spire.acme.example"),
}

# What a verifier is known to accept, or not to support; every other spoiled bundle it refuses.
PYTHON_UNSUPPORTED = {(Shape.LOG_V1_INTOTO, STATEMENT), (Shape.LOG_V2_DSSE, STATEMENT)} | {
    (Shape.TIMESTAMP, kind) for kind in (STATEMENT, DIGEST)
}
PYTHON_GAPS = {
    Spoil.AUTHORITY_RETIRED,  # the windows of authorities and log keys are read and not enforced
    Spoil.CT_KEY_RETIRED,
    Spoil.LOG_RETIRED,
    Spoil.PAYLOAD_TYPE_OTHER,  # returned to the caller, who must look at it
}
JS_UNSUPPORTED = {(Shape.LOG_V2, STATEMENT)}  # «digest mismatch»: it knows hashedrekord 0.0.2 of plain signatures alone
JS_GAPS = {
    Spoil.CODE_SIGNING_MISSING,  # it looks at no key usage
    Spoil.DIGITAL_SIGNATURE_MISSING,
    Spoil.SUBJECT_NAME_MISSING,  # left to a policy on the identity
    Spoil.PAYLOAD_TYPE_OTHER,
}
JS_GAPS_V2 = JS_GAPS | {Spoil.LOG_RETIRED}  # a log's window is held against the integrated time, and v2 has none
JS_GAPS_TIMESTAMP = JS_GAPS | {Spoil.DIGEST_OTHER}  # without a log entry it never compares the hint


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Verifier:
    root = lab.write_root(tmp_path_factory.mktemp("root"))
    return Verifier(trusted_root=TrustedRoot.from_file(str(root / "trusted_root.json")))


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)


def python_says(verifier: Verifier, case: Case, signer: Identity = lab.SIGNER) -> str | None:
    spoil, shape, kind = case
    policy = IdentityPolicy(identity=str(signer.subject), issuer=signer.issuer)
    try:
        if kind == STATEMENT:
            bundle = lab.provenance_bundle(signer=signer, build=lab.SIGNER, spoil=spoil, shape=shape)
            verifier.verify_dsse(Bundle.from_json(bundle), policy)
        else:
            bundle = lab.signature_bundle(signer=signer, spoil=spoil, shape=shape)
            verifier.verify_artifact(lab.CONTENT, Bundle.from_json(bundle), policy)
    except (SigstoreError, ValidationError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def spoiled_cases(but: set[tuple[Shape, str]]) -> list[Case]:
    return [
        (spoil, shape, kind)
        for spoil in Spoil
        for shape in Shape
        if shape in shapes(spoil)
        for kind, fits in ((STATEMENT, of_statements), (DIGEST, of_digests))
        if fits(spoil) and (shape, kind) not in but
    ]


def name_of(case: Case) -> str:
    return "-".join([case[0].value if case[0] else "good", case[1].value, case[2]])


@pytest.mark.parametrize("signer", SIGNERS.values(), ids=SIGNERS)
@pytest.mark.parametrize("kind", [STATEMENT, DIGEST])
@pytest.mark.parametrize("shape", Shape)
def test_sigstore_python_accepts_every_signer_in_every_shape_it_supports(
    verifier: Verifier, shape: Shape, kind: str, signer: Identity
) -> None:
    refusal = python_says(verifier, (None, shape, kind), signer)

    assert (refusal is not None) == ((shape, kind) in PYTHON_UNSUPPORTED), refusal


@pytest.mark.parametrize("case", spoiled_cases(but=PYTHON_UNSUPPORTED), ids=name_of)
def test_sigstore_python_refuses_what_is_spoiled_but_for_its_known_gaps(verifier: Verifier, case: Case) -> None:
    spoil, shape, _ = case
    # One good time is enough for it, so that a bad timestamp beside a promise is not noticed.
    unnoticed = shape is Shape.LOG_V1_TIMESTAMP and str(spoil and spoil.value).startswith("timestamp-")
    noticed = spoil is Spoil.TIMESTAMP_OUTSIDE

    refusal = python_says(verifier, case)

    assert (refusal is None) == (spoil in PYTHON_GAPS or (unnoticed and not noticed)), refusal


@lru_cache(maxsize=1)
def js_says() -> dict[Case, str | None]:
    """Every case in one run of node: a start costs more than all of the verifying."""
    modules = Path(os.environ.get("PROVGATE_NODE_MODULES", tools.NODE_MODULES))
    good: list[Case] = [(None, shape, kind) for shape in Shape for kind in (STATEMENT, DIGEST)]
    cases = good + spoiled_cases(but=JS_UNSUPPORTED)
    ran = subprocess.run(
        [tools.need("node"), SCRIPT],
        input=json.dumps({"root": json.loads(lab.sandbox().trusted_root()), "cases": [_js_case(c) for c in cases]}),
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    return dict(zip(cases, json.loads(ran.stdout), strict=True))


@pytest.fixture(scope="module")
def js() -> dict[Case, str | None]:
    if "PROVGATE_NODE_MODULES" not in os.environ:
        tools.need_node_package("@sigstore/verify")
    return js_says()


def _js_case(case: Case) -> dict[str, object]:
    spoil, shape, kind = case
    alone = shape is Shape.TIMESTAMP
    thresholds = {"ctlogThreshold": 0, "tlogThreshold": 0, "timestampThreshold": 1} if alone else {}
    make = lab.provenance_bundle if kind == STATEMENT else lab.signature_bundle
    artifact = None if kind == STATEMENT else base64.b64encode(lab.CONTENT).decode()
    return {"bundle": json.loads(make(spoil=spoil, shape=shape)), "artifact": artifact, "thresholds": thresholds}


@pytest.mark.parametrize("kind", [STATEMENT, DIGEST])
@pytest.mark.parametrize("shape", Shape)
def test_sigstore_js_accepts_every_shape_it_supports(js: dict[Case, str | None], shape: Shape, kind: str) -> None:
    refusal = js[None, shape, kind]

    assert (refusal is not None) == ((shape, kind) in JS_UNSUPPORTED), refusal


@pytest.mark.parametrize("case", spoiled_cases(but=JS_UNSUPPORTED), ids=name_of)
def test_sigstore_js_refuses_what_is_spoiled_but_for_its_known_gaps(js: dict[Case, str | None], case: Case) -> None:
    spoil, shape, _ = case
    gaps = {Shape.LOG_V2: JS_GAPS_V2, Shape.LOG_V2_DSSE: JS_GAPS_V2, Shape.TIMESTAMP: JS_GAPS_TIMESTAMP}

    assert (js[case] is None) == (spoil in gaps.get(shape, JS_GAPS)), js[case]
