"""What the documents say is so: links lead somewhere, settings have these keys, and the examples load."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from gateway.cli.main import commands
from gateway.config import settings_schema
from gateway.config.settings import read_settings
from gateway.policy import load_policy, policy_schema

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changes").glob("*.md")])
PAGES = sorted((ROOT / "gateway" / "reasons" / "pages").glob("*.md"))


def blocks(document: Path, language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), flags=re.MULTILINE | re.DOTALL)


def heading_ids(document: Path) -> set[str]:
    """The anchors that a page gets from its headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tables(text: str, heading: str) -> dict[str, str]:
    """First and second column of the tables below a heading."""
    part = text.split(f"{heading}\n", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", part, flags=re.MULTILINE))


def leads_somewhere(document: Path, target: str) -> bool:
    """Whether a link's file, and its heading if it names one, are there; addresses outside are not tried."""
    if target.startswith("https://"):
        return True
    path, _, anchor = target.partition("#")
    there = (document.parent / path).resolve() if path else document
    return there.exists() and (not anchor or anchor in heading_ids(there))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    assert [target for target in targets if not leads_somewhere(document, target)] == []


@pytest.mark.parametrize("document", [*DOCUMENTS, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_yaml_example_is_yaml(document: Path) -> None:
    for text in blocks(document, "yaml"):
        yaml.safe_load(text)


def rules_of(example: dict[str, Any]) -> dict[str, Any] | None:
    """A whole policy around an example, whichever part of one it shows; None where it shows something else."""
    if "rules" in example:
        return example
    signer = {"issuer": "https://token.actions.githubusercontent.com", "repository": "acme/libs"}
    signer |= {"workflow": ".github/workflows/release.yml"}
    if set(example) <= set(policy_schema()["$defs"]["SignerText"]["properties"]):
        signer |= example
    elif "signer" in example:
        signer |= example["signer"]
    elif "attestations" not in example:
        return None
    if "subject" in signer:
        signer = {key: signer[key] for key in ("issuer", "subject")}
    asked = {"predicate": "https://slsa.dev/provenance/v1", "trust_roots": ["github"], "signer": signer}
    attestations = [asked | given for given in example.get("attestations", [{}])]
    return {"rules": [{"name": "example", "packages": ["pkg:pypi/acme-*"], "attestations": attestations}]}


@pytest.mark.parametrize("document", [*DOCUMENTS, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_policy_example_loads(document: Path) -> None:
    for text in blocks(document, "yaml"):
        if isinstance(example := yaml.safe_load(text), dict) and (policy := rules_of(example)):
            load_policy(
                {document.name: yaml.safe_dump(policy)}, trust_roots={"sigstore-public-good", "github", "example-keys"}
            )


def test_the_policy_page_has_every_key() -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    schema = policy_schema()["$defs"]
    assert set(tables(text, "## A rule")) == set(schema["RuleText"]["properties"])
    assert set(tables(text, "## An attestation")) == set(schema["AttestationText"]["properties"])
    cells = re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \|", text.split("## A signer\n")[1].split("\n## ")[0], flags=re.MULTILINE
    )
    assert set(re.findall(r"`(\w+)`", " ".join(cells))) == set(schema["SignerText"]["properties"])
    for heading, shapes in (
        ("## An attestation", {"provenance": "ProvenanceText", "summary": "SummaryText"}),
        ("## Credential and release", {"credential": "CredentialText", "release": "ReleaseText"}),
    ):
        parts = text.split(f"{heading}\n")[1].split("\n## ")[0]
        assert set(re.findall(r"^\| `(\w+\.\w+)` \|", parts, flags=re.MULTILINE)) == {
            f"{part}.{key}" for part, name in shapes.items() for key in schema[name]["properties"]
        }


def test_the_settings_page_has_every_key_with_its_default() -> None:
    schema = settings_schema()
    text = (ROOT / "docs" / "settings.md").read_text()
    registry = tables(text, "## A registry")
    spool = tables(text, "### `spool`")
    own = {key: value for key, value in tables(text, "## The gateway").items() if key not in spool}
    assert set(own) == set(schema["properties"])
    assert set(registry) == set(schema["$defs"]["RegistryDocument"]["properties"])
    assert set(spool) == set(schema["$defs"]["SpoolDocument"]["properties"])
    for described, properties in (
        (own, schema["properties"]),
        (registry, schema["$defs"]["RegistryDocument"]["properties"]),
        (spool, schema["$defs"]["SpoolDocument"]["properties"]),
    ):
        assert {
            key: said for key, said in described.items() if said.startswith("`") and not agrees(said, properties[key])
        } == {}


def agrees(said: str, described: dict[str, Any]) -> bool:
    """Whether the default in a table's cell is the schema's."""
    default = described.get("default")
    if default is None or isinstance(default, dict):
        return True
    value = yaml.safe_load(said.strip("`"))
    match = re.fullmatch(r"(\d+)GiB", str(value))
    return bool((int(match[1]) << 30 if match else value) == (list(default) if isinstance(default, tuple) else default))


@pytest.mark.parametrize("name", ["quickstart.md", "settings.md"])
def test_the_settings_of_a_page_load(name: str, tmp_path: Path) -> None:
    (text,) = [text for text in blocks(ROOT / "docs" / name, "yaml") if text.startswith("listen:")]
    (tmp_path / "secrets").mkdir()
    secret = tmp_path / "secrets" / "pypi-upstream"
    secret.touch(mode=0o600)
    secret.write_text("gateway:secret")
    settings = read_settings(text, tmp_path / "gateway.yaml", {})
    assert [registry.name for registry in settings.registries] == ["python"]
    assert settings.public_url == "https://pypi.acme.example"


def test_the_picture_of_the_rooms_has_every_room() -> None:
    (picture, *_) = blocks(ROOT / "docs" / "architecture.md", "text")
    rooms = {path.parent.name for path in (ROOT / "gateway").glob("*/__init__.py")}
    assert rooms - set(re.findall(r"[a-z_]+", picture)) == set()


def mentions(text: str) -> list[list[str]]:
    """Every `provgate ...` of a page's code, as words; a placeholder of dots ends one."""
    code = [
        *re.findall(r"^```(?:sh|yaml)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL),
        *re.findall(r"`([^`\n]+)`", text),
    ]
    joined = "\n".join(code).replace("\\\n", " ")
    found = re.findall(r"(?:^|[\s/])provgate ([^\n|&;>#]*)", joined, flags=re.MULTILINE)
    return [re.split(r"\s+", words.strip()) for words in found]


def unknown_words(words: list[str]) -> list[str]:
    """The subcommands and options of one mention that the command does not have."""
    command: click.Command = commands
    wrong: list[str] = []
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            if word not in command.commands:
                return [*wrong, word]
            command = command.commands[word]
        elif word.startswith("-"):
            known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
            wrong += [word] if word.partition("=")[0] not in known else []
    return wrong


@pytest.mark.parametrize("document", [*DOCUMENTS, *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_that_is_mentioned_is_there_with_its_options(document: Path) -> None:
    said = mentions(document.read_text())
    assert {" ".join(words): wrong for words in said if (wrong := unknown_words(words))} == {}


def test_a_command_that_is_not_there_would_be_noticed() -> None:
    page = "`provgate decisions lst` and\n```sh\ndocker exec gateway \\\n  provgate token create --expirs 3d\n```\n"
    assert [unknown_words(words) for words in mentions(page)] == [["--expirs"], ["lst"]]
