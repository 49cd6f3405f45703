"""Trust roots and policy files from their directories."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import limits
from gateway.config import load_trust_roots, read_policy_files, shipped_trust_roots
from gateway.errors import ConfigurationError
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.verification import verify
from tests.lab import layouts
from tests.lab.data import GITHUB, needs_data

TUF = "source: {tuf: https://tuf.acme.example, bootstrap: root.json}"


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A directory with the shipped root of the public instance."""
    shutil.copytree(shipped_trust_roots() / "sigstore-public-good", tmp_path / "sigstore-public-good")
    return tmp_path


def problems(directory: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_trust_roots(directory)
    return [problem.removeprefix(f"{directory}/") for problem in caught.value.problems]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_shipped_roots_load() -> None:
    shipped = load_trust_roots(shipped_trust_roots())
    assert "sigstore-public-good" in shipped
    assert {name: root.name for name, root in shipped.items()} == {name: name for name in shipped}


def test_an_embedded_root_is_the_shipped_file_whatever_lies_beside(roots: Path) -> None:
    before = load_trust_roots(roots)
    (roots / "sigstore-public-good" / "trusted_root.json").write_text("{}")
    after = load_trust_roots(roots)
    assert after["sigstore-public-good"].digest == before["sigstore-public-good"].digest


def test_a_root_by_tuf_is_what_was_fetched_else_the_copy_beside_it_else_a_problem(roots: Path) -> None:
    place = roots / "sigstore-public-good"
    edit(place / "trust_root.yaml", "source: {embedded: public-good}", TUF)
    (place / "root.json").write_text("{}")
    beside = load_trust_roots(roots)["sigstore-public-good"].digest
    data = (place / "trusted_root.json").read_bytes()
    (place / "trusted_root.json").unlink()
    fetched = load_trust_roots(roots, {"sigstore-public-good": data})["sigstore-public-good"].digest
    assert fetched == beside
    (problem,) = problems(roots)
    assert "nothing was fetched from https://tuf.acme.example yet" in problem


def test_every_root_that_is_wrong_is_told(roots: Path) -> None:
    shutil.copytree(roots / "sigstore-public-good", roots / "Upper")
    (roots / "empty").mkdir()
    (roots / "broken").mkdir()
    (roots / "broken" / "trust_root.yaml").write_text("kind: magic\n")
    (roots / "README.md").write_text("not a root")
    (roots / ".git").mkdir()
    found = problems(roots)
    assert found[0] == "Upper: a trust root's name is lower-case letters, digits and hyphens; rename it"
    assert found[1].startswith("broken/trust_root.yaml:1:")
    assert found[-1] == "empty/trust_root.yaml: No such file or directory"


def test_material_that_is_absent_wrong_or_too_large_is_told_with_its_file(roots: Path) -> None:
    place = roots / "sigstore-public-good"
    edit(place / "trust_root.yaml", "source: {embedded: public-good}", "source: {file: own.json}")
    (problem,) = problems(roots)
    assert problem.startswith("sigstore-public-good/trust_root.yaml:6:16: there is no own.json beside this file")
    (place / "own.json").write_text("{}")
    (problem,) = problems(roots)
    assert problem.startswith("sigstore-public-good/trust_root.yaml:")
    (place / "own.json").write_bytes(b" " * (limits.TRUST_ROOT_BYTES + 1))
    assert problems(roots) == [f"sigstore-public-good/own.json: larger than {limits.TRUST_ROOT_BYTES} bytes"]


def test_the_example_of_githubs_instance_says_what_it_needs(tmp_path: Path) -> None:
    example = shipped_trust_roots() / ".examples" / "github"
    shutil.copytree(example, tmp_path / "github")
    (problem,) = problems(tmp_path)
    place = "github/trust_root.yaml:4:16"
    assert problem == f"{place}: there is no trusted_root.json beside this file; put the instance's trusted root there"
    assert "githubapp.com" in (example / "README.md").read_text()


@needs_data
def test_the_example_of_githubs_instance_is_whole_with_what_github_hands_out(tmp_path: Path) -> None:
    shutil.copytree(shipped_trust_roots() / ".examples" / "github", tmp_path / "github")
    shutil.copy(GITHUB / "github-instance-trusted_root.json", tmp_path / "github" / "trusted_root.json")
    root = load_trust_roots(tmp_path)["github"]
    name = "github_provenance_demo-0.0.12-py3-none-any"
    evidence = Evidence(
        EvidenceRef("id", Format.UNKNOWN, Source.LOCKER), (GITHUB / f"{name}-bundle.jsonl").read_bytes()
    )
    (found,) = verify(evidence, [root], [], datetime(2026, 11, 24, tzinfo=UTC))
    assert found.attestation is not None, [reason.line() for reason in found.reasons]
    assert "githubapp.com" in (tmp_path / "github" / "trusted_root.json").read_text()  # what the README looks for


def test_a_directory_without_roots_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path)
    assert "no trust root; copy one from" in problem
    (problem,) = problems(tmp_path / "absent")
    assert "No such file or directory; trust_roots names the directory" in problem


def test_policy_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("20-b.yaml", "10-a.yaml", ".hidden.yaml", "notes.md"):
        (tmp_path / name).write_text(name)
    assert list(read_policy_files(tmp_path).items()) == [
        (str(tmp_path / name), name) for name in ("10-a.yaml", "20-b.yaml")
    ]


def test_a_directory_without_policy_files_is_a_problem(tmp_path: Path) -> None:
    for directory, what in ((tmp_path, "no policy file"), (tmp_path / "absent", "No such file")):
        with pytest.raises(ConfigurationError, match=what):
            read_policy_files(directory)
    (tmp_path / "a.yaml").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_policy_files(tmp_path)


def test_a_layout_is_read_as_a_root(tmp_path: Path) -> None:
    layouts.save(tmp_path / "acme-release", layouts.layout())
    root = load_trust_roots(tmp_path)["acme-release"]
    assert (root.kind, root.layout is not None) == ("layout", True)


def test_a_layout_with_inspections_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    proof = tmp_path / "was-run"
    body = layouts.layout(inspect=[layouts.inspection(["touch", str(proof)])])
    layouts.save(tmp_path / "roots" / "acme-release", body)
    with pytest.raises(ConfigurationError) as caught:
        load_trust_roots(tmp_path / "roots")
    (problem,) = caught.value.problems
    assert problem.startswith(f"{tmp_path}/roots/acme-release/trust_root.yaml:2:")
    assert "layout.inspect" in problem
    assert not proof.exists()
