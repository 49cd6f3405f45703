"""Every way in which something is attached: cosign's older tags, its attestations, oras, and actions/attest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.model.identity import Identity
from gateway.sandbox import SLSA_PROVENANCE as PROVENANCE
from gateway.sandbox import github_identity, slsa_provenance
from gateway.service.compose import now
from tests.lab import image_clients
from tests.lab.image_clients import Person, Ran
from tests.lab.image_world import POLICY, ImageWorld, image_world
from tests.lab.images import Image, image
from tests.lab.tools import need_node_package

OURS = github_identity()
OTHERS = github_identity("mallory/libs")
ACTIONS_ATTEST = Path(image_clients.__file__).with_name("actions_attest.cjs")
SBOM = "application/vnd.cyclonedx+json"
_RULE = POLICY.partition("rules:\n")[2]
POLICIES = (
    POLICY
    + _RULE.replace("acme-images", "older")
    .replace("team/**", "older/**")
    .replace("predicate: https://sigstore.dev/cosign/sign/v1", "signature: true")
    + _RULE.replace("acme-images", "attested")
    .replace("team/**", "attested/**")
    .replace("https://sigstore.dev/cosign/sign/v1", PROVENANCE)
)


@pytest.fixture(scope="module", params=["open", "verified"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageWorld]:
    with image_world(tmp_path_factory.mktemp("signers"), policy=POLICIES, reads=request.param) as made:
        yield made


@pytest.fixture(scope="module")
def publisher(world: ImageWorld) -> Person:
    return Person(world.folder / "ci", world.host, world.token(actions="publish,attach,read"))


@pytest.fixture(scope="module")
def reader(world: ImageWorld) -> Person:
    return Person(world.folder / "reader", world.host, world.token(actions="read"))


def test_a_signature_of_cosigns_older_kind_releases_what_it_signs(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path, "older signature")
    name, tag = f"{{host}}/older/signed@{made.digest}", f"{made.digest.replace(':', '-')}.sig"
    assert publisher.push(made, "older/signed:1.0.0").succeeded
    wrong = publisher.cosign(world.sandbox, OTHERS, "sign", name, older=True)
    assert not wrong.succeeded
    assert "repository-mismatch" in wrong.output
    assert not reader.inspect(f"older/signed:{tag}").succeeded
    signed = publisher.cosign(world.sandbox, OURS, "sign", name, older=True)
    assert signed.succeeded, signed.output
    assert reader.pull("older/signed:1.0.0").succeeded
    assert world.upstream.tags("older/signed") == {"1.0.0", tag}
    assert len(json.loads(reader.inspect(f"older/signed:{tag}").output)["layers"]) == 1
    again = publisher.cosign(world.sandbox, OURS, "sign", name, older=True)
    assert again.succeeded, again.output  # which adds a layer to what is under the tag
    assert len(json.loads(reader.inspect(f"older/signed:{tag}").output)["layers"]) == 2


@pytest.mark.parametrize("kind", ["older", "newer"])
def test_an_attestation_of_either_kind_releases_what_it_is_about(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path, kind: str
) -> None:
    made, name = image(tmp_path, f"attested {kind}"), f"attested/{kind}"
    assert publisher.push(made, f"{name}:1.0.0").succeeded
    predicate = tmp_path / "predicate.json"
    predicate.write_text(json.dumps(slsa_provenance([], OURS)["predicate"]))
    about = ("--predicate", str(predicate), "--type", PROVENANCE, f"{{host}}/{name}@{made.digest}")
    wrong = publisher.cosign(world.sandbox, OTHERS, "attest", *about, older=kind == "older")
    assert not wrong.succeeded
    assert "repository-mismatch" in wrong.output
    assert not reader.inspect(f"{name}:1.0.0").succeeded
    attested = publisher.cosign(world.sandbox, OURS, "attest", *about, older=kind == "older")
    assert attested.succeeded, attested.output
    assert reader.pull(f"{name}:1.0.0").succeeded


def test_cosigns_copy_of_a_signed_image_is_told_by_content_and_accepted_with_the_signature_it_brings(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    """It writes the signature, the image under the tag of a list of referrers, and the image's own tag last."""
    made = image(tmp_path, "copied")
    assert publisher.push(made, "older/source:1.0.0").succeeded
    assert publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/older/source@{made.digest}", older=True).succeeded
    copied = publisher.run(
        "cosign", "copy", "--allow-http-registry", "--registry-username", "ci", "--registry-password",
        publisher.token, f"{world.host}/older/source:1.0.0", f"{world.host}/older/target:1.0.0",
    )  # fmt: skip
    assert copied.succeeded, copied.output
    stem = made.digest.replace(":", "-")
    assert world.upstream.tags("older/target") == {"1.0.0", stem, f"{stem}.sig"}
    assert reader.pull("older/target:1.0.0").succeeded
    assert reader.inspect(f"older/target:{stem}").output.encode() == made.manifest


def test_an_sbom_that_oras_attaches_is_content_and_listed_to_readers_once_it_is_signed_itself(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path, "with an SBOM")
    assert publisher.push(made, "team/sbom:1.0.0").succeeded
    assert publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/sbom@{made.digest}").succeeded
    (publisher.home / "sbom.json").write_text('{"bomFormat": "CycloneDX"}')
    attached = publisher.run(
        "oras", "attach", "--plain-http", "--no-tty", "--username", "ci", "--password", publisher.token,
        "--artifact-type", SBOM, f"{world.host}/team/sbom:1.0.0", "sbom.json:application/json",
    )  # fmt: skip
    assert attached.succeeded, attached.output
    assert SBOM not in listed(reader, made.digest)
    digest = listed(publisher, made.digest)[SBOM]
    assert reader.ask("GET", f"/v2/team/sbom/manifests/{digest}")[0] == 404
    signed = publisher.cosign(world.sandbox, OURS, "sign", f"{{host}}/team/sbom@{digest}")
    assert signed.succeeded, signed.output
    assert listed(reader, made.digest)[SBOM] == digest
    assert reader.ask("GET", f"/v2/team/sbom/manifests/{digest}")[0] == 200


def listed(person: Person, digest: str) -> dict[str, str]:
    """What refers to a digest of `team/sbom`, by its artifact type."""
    status, body = person.ask("GET", f"/v2/team/sbom/referrers/{digest}")
    assert status == 200
    return {one["artifactType"]: one["digest"] for one in json.loads(body)["manifests"]}


def test_actions_attest_pushes_an_attestation_and_writes_no_list_of_its_own(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path, "by actions/attest")
    assert publisher.push(made, "attested/action:1.0.0").succeeded
    before = world.newest()
    attached = attest(world, publisher, made, OURS)
    assert attached.succeeded, attached.output
    assert world.newest() != before
    assert world.upstream.tags("attested/action") == {"1.0.0"}
    assert reader.pull("attested/action:1.0.0").succeeded


def test_actions_attest_shows_a_status_only_and_the_record_tells_the_rest(
    world: ImageWorld, publisher: Person, reader: Person, tmp_path: Path
) -> None:
    made = image(tmp_path, "refused of actions/attest")
    assert publisher.push(made, "attested/refused:1.0.0").succeeded
    attached = attest(world, publisher, made, OTHERS)
    assert not attached.succeeded
    assert "expected 201, received 403" in attached.output
    assert "repository-mismatch" not in attached.output
    shown = world.command("decisions", "show", "--digest", made.digest, "-c", "gateway.yaml")
    assert "repository-mismatch" in shown
    assert not reader.inspect("attested/refused:1.0.0").succeeded


def attest(world: ImageWorld, person: Person, made: Image, by: Identity) -> Ran:
    """Sign provenance for an image of `attested` as this identity, and push it as actions/attest does."""
    name = "attested/action" if by is OURS else "attested/refused"
    provenance = slsa_provenance([(f"{world.host}/{name}", {"sha256": made.digest.removeprefix("sha256:")})], by)
    bundle = person.home / "bundle.json"
    bundle.write_bytes(world.sandbox.sign_statement(provenance, by, now()))
    folder = need_node_package("@sigstore/oci").parents[1]
    return person.run(
        "node", str(ACTIONS_ATTEST), str(folder), f"{world.host}/{name}", made.digest, str(bundle), "ci", person.token
    )
