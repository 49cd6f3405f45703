"""A sandbox: what it refuses to do, how it is kept on disk, and what it does not share with the verifier."""

import ast
import base64
import json
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import rfc3161_client
import yaml
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity as IdentityPolicy

import gateway.sandbox
from gateway.errors import ConfigurationError
from gateway.model.marker import SANDBOX_ORGANIZATION
from gateway.sandbox import Sandbox, Shape, Spoil, pep740
from gateway.sandbox.spoil import shapes
from tests.lab import sigstore as lab

PUBLIC = {"trusted_root.json": 0o644, "trust_root.yaml": 0o644, "README": 0o644}


def accepts(sandbox: Sandbox, directory: Path, bundle: bytes) -> None:
    root = directory / "accepting.json"
    root.write_bytes(sandbox.trusted_root())
    policy = IdentityPolicy(identity=str(lab.SIGNER.subject), issuer=lab.SIGNER.issuer)
    Verifier(trusted_root=TrustedRoot.from_file(str(root))).verify_dsse(Bundle.from_json(bundle), policy)


def statement() -> bytes:
    return base64.b64decode(json.loads(lab.provenance_bundle())["dsseEnvelope"]["payload"])


@pytest.mark.parametrize("spoil", Spoil)
def test_a_fault_that_a_shape_has_no_part_for_is_an_error_and_never_silently_left_out(spoil: Spoil) -> None:
    for shape in set(Shape) - shapes(spoil):
        with pytest.raises(ValueError, match=f"{spoil.value} cannot be done to {shape.value}"):
            lab.provenance_bundle(spoil=spoil, shape=shape)


@pytest.mark.parametrize("spoil", [Spoil.PAYLOAD_ALTERED, Spoil.PAYLOAD_TYPE_ALTERED, Spoil.PAYLOAD_TYPE_OTHER])
def test_a_plain_signature_has_no_payload_to_spoil(spoil: Spoil) -> None:
    with pytest.raises(ValueError, match="cannot be done"):
        lab.signature_bundle(spoil=spoil)


def test_a_pep_740_attestation_has_no_payload_type_to_alter() -> None:
    with pytest.raises(ValueError, match="cannot be done"):
        lab.publish_attestation_of(spoil=Spoil.PAYLOAD_TYPE_ALTERED)


def test_a_statement_has_no_digest_hint_to_spoil() -> None:
    with pytest.raises(ValueError, match="cannot be done"):
        lab.provenance_bundle(spoil=Spoil.DIGEST_OTHER)


def test_every_spoil_is_documented_in_one_line() -> None:
    tree = ast.parse(Path(gateway.sandbox.spoil.__file__).read_text())
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Spoil"]
    documents = [
        node.value.value for node in body[1:] if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]

    assert len(documents) == len(Spoil)
    assert all("\n" not in str(document) for document in documents)


def test_it_signs_with_the_keys_that_were_in_use_at_the_time(tmp_path: Path) -> None:
    sandbox = Sandbox.create(lab.NOW)
    long_ago = lab.NOW - timedelta(days=400)

    accepts(sandbox, tmp_path, sandbox.sign_statement(statement(), lab.SIGNER, long_ago))
    assert sandbox.generation(long_ago) is not sandbox.generation(lab.NOW)


def test_before_its_first_keys_it_signs_nothing() -> None:
    with pytest.raises(ValueError, match="had no keys"):
        lab.provenance_bundle(at=lab.NOW - timedelta(days=731))


def test_no_key_is_retired_before_its_time() -> None:
    with pytest.raises(ValueError, match="was retired"):
        lab.provenance_bundle(at=lab.NOW - timedelta(days=400), spoil=Spoil.LOG_RETIRED)


def test_a_time_without_a_zone_is_an_error() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        lab.provenance_bundle(at=datetime(2026, 11, 24, 12))  # noqa: DTZ001 - that is the point


def test_any_zone_and_any_fraction_of_a_second_will_do(tmp_path: Path) -> None:
    at = datetime(2026, 11, 24, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))

    accepts(lab.sandbox(), tmp_path, lab.provenance_bundle(at=at))


def test_two_sandboxes_share_no_key() -> None:
    first, second = (json.loads(Sandbox.create(lab.NOW).trusted_root()) for _ in range(2))

    assert not _key_material(first) & _key_material(second)
    assert len(_key_material(first)) == 14


def _key_material(root: dict[str, list[dict[str, dict[str, list[dict[str, str]]]]]]) -> set[str]:
    logs = {str(log["publicKey"]["rawBytes"]) for log in root["tlogs"] + root["ctlogs"]}
    authorities = root["certificateAuthorities"] + root["timestampAuthorities"]
    return logs | {one["rawBytes"] for authority in authorities for one in authority["certChain"]["certificates"]}


def test_what_was_saved_signs_on_where_it_stopped(tmp_path: Path) -> None:
    sandbox = Sandbox.create(lab.NOW)
    sandbox.sign_statement(statement(), lab.SIGNER, lab.NOW)
    sandbox.save(tmp_path / "kept")

    again = Sandbox.load(tmp_path / "kept")
    bundle = again.sign_statement(statement(), lab.SIGNER, lab.NOW)

    accepts(sandbox, tmp_path, bundle)
    assert again.trusted_root() == sandbox.trusted_root()
    entry = json.loads(bundle)["verificationMaterial"]["tlogEntries"][0]
    assert entry["inclusionProof"]["treeSize"] == "7"  # five to begin with, one before it was saved, this one


def test_keys_are_for_their_owner_alone_and_verifiers_read_the_rest(tmp_path: Path) -> None:
    Sandbox.create(lab.NOW).save(tmp_path / "kept")

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").iterdir()}

    assert modes == {"sandbox.json": 0o600, **PUBLIC}
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o700


def test_saving_over_a_file_that_others_could_read_closes_it(tmp_path: Path) -> None:
    (tmp_path / "sandbox.json").touch(mode=0o644)

    Sandbox.create(lab.NOW).save(tmp_path)

    assert stat.S_IMODE((tmp_path / "sandbox.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"generations": [{}]}', b'{"generations": []}', b"\xff"])
def test_a_file_that_is_no_sandbox_is_the_operators_to_mend(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "sandbox.json").write_bytes(content)

    with pytest.raises(ConfigurationError, match="sandbox"):
        Sandbox.load(tmp_path)


def test_a_directory_without_a_sandbox_is_the_operators_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="make a sandbox first"):
        Sandbox.load(tmp_path)


def test_a_saved_sandbox_is_a_trust_root_and_says_on_every_surface_that_it_is_a_sandbox(tmp_path: Path) -> None:
    Sandbox.create(lab.NOW).save(tmp_path)

    text = (tmp_path / "trust_root.yaml").read_text()
    root = json.loads((tmp_path / "trusted_root.json").read_bytes())
    document = yaml.safe_load(text)

    assert {key: document[key] for key in ("kind", "source", "thresholds")} == {
        "kind": "sigstore",
        "source": {"file": "trusted_root.json"},
        "thresholds": {"sct": 1, "log": 1, "timestamp": 0},
    }
    assert SANDBOX_ORGANIZATION in text
    assert SANDBOX_ORGANIZATION in (tmp_path / "README").read_text()
    for kind, key in {
        "tlogs": "baseUrl",
        "ctlogs": "baseUrl",
        "certificateAuthorities": "uri",
        "timestampAuthorities": "uri",
    }.items():
        assert all(".sandbox.invalid" in part[key] for part in root[kind])


def test_a_pep_740_object_holds_what_its_bundle_holds() -> None:
    bundle = json.loads(lab.provenance_bundle())
    attestation = json.loads(pep740(json.dumps(bundle).encode()))

    assert attestation == {
        "version": 1,
        "verification_material": {
            "certificate": bundle["verificationMaterial"]["certificate"]["rawBytes"],
            "transparency_entries": bundle["verificationMaterial"]["tlogEntries"],
        },
        "envelope": {
            "statement": bundle["dsseEnvelope"]["payload"],
            "signature": bundle["dsseEnvelope"]["signatures"][0]["sig"],
        },
    }


def test_a_timestamp_reads_as_what_was_asked_for() -> None:
    response = rfc3161_client.decode_timestamp_response(
        lab.sandbox().generation(lab.NOW).timestamps.stamp_digest(b"\x80" * 32, lab.NOW, nonce=1 << 63)
    )

    assert response.status == 0
    assert response.tst_info.message_imprint.message == b"\x80" * 32
    assert (response.tst_info.gen_time, response.tst_info.nonce) == (lab.NOW.astimezone(UTC), 1 << 63)


def test_it_imports_nothing_of_the_verifier_that_it_is_to_test() -> None:
    folder = Path(gateway.sandbox.__file__).parent
    imported = {
        name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _names(node)
        if name.startswith("gateway.")
    }

    allowed = ("gateway.sandbox", "gateway.model.identity", "gateway.model.marker", "gateway.errors", "gateway.limits")
    assert {name for name in imported if not name.startswith(allowed)} == set()


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [str(node.module)]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
