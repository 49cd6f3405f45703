"""What holds for the whole tree: documents in step with the program, no registry's host, no path of one machine."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Put together here, so that this file does not name them. A predicate type's host is a standard's identifier.
HOSTS = [
    r"(?<!docs\.)\bpypi" + r"\.org",
    "python" + r"hosted\.org",
    "npm" + r"js\.(org|com)",
    "proxy" + r"\.golang\.org",
    "deb" + r"\.debian\.org",
    "maven" + r"\.org",
]
PATHS = ["/" + "work/", "/" + "root/", "/" + r"home/\w+/"]
MANUALS = ("README.md", "SECURITY.md", "THREAT_MODEL.md", "docs/")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git work tree")
    return [name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[str, str]]:
    found = []
    for name in tracked():
        try:
            found.append((name, (ROOT / name).read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def manuals() -> list[tuple[str, str]]:
    return [(name, text) for name, text in texts() if name.endswith(".md") and name.startswith(MANUALS)]


def commands(text: str) -> list[str]:
    """Return the lines that a reader is told to run: those of code blocks, and single words of code."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)


@pytest.mark.parametrize("pattern", [*HOSTS, *PATHS])
def test_nothing_names_a_package_registrys_host_or_a_path_of_one_machine(pattern: str) -> None:
    named = re.compile(pattern)
    lines = [
        f"{name}:{number}"
        for name, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if named.search(line)
    ]
    assert not lines


def test_every_link_of_the_manuals_leads_somewhere() -> None:
    broken = [
        f"{name}: {target}"
        for name, text in manuals()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        if "://" not in target and not target.startswith("mailto:")
        if not ((ROOT / name).parent / target).exists()
    ]
    assert not broken


def test_every_make_target_of_the_manuals_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (name, word)
        for name, text in manuals()
        for command in commands(text)
        if (match := re.match(r"\$? ?make ([a-z-]+)", command))
        for word in [match.group(1)]
    }
    assert not {(name, word) for name, word in named if word not in targets}


def test_every_make_target_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)", text, re.MULTILINE))
    assert phony == set(re.findall(r"^([a-z-]+):.* ## ", text, re.MULTILINE))


@pytest.mark.parametrize("lock", ["requirements/dev.txt", "requirements/runtime.txt"])
def test_a_lock_holds_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    pins = re.findall(r"^[A-Za-z0-9._-]+==[^\n]*\\\n((?:    --hash=sha256:[0-9a-f]{64}[^\n]*\n)+)", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[A-Za-z0-9._-]+==", text, re.MULTILINE)) > 20


def test_the_npm_lock_holds_hashes_and_no_address_of_a_registry() -> None:
    text = (ROOT / "tools/node/package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in text
    assert text.count('"integrity": "sha512-') == text.count('"node_modules/')


def test_every_other_program_is_pinned() -> None:
    text = (ROOT / "tools/install").read_text(encoding="utf-8")
    pins = {name: re.search(rf"^{name}='([^']*)'", text, re.MULTILINE) for name in ("DEBIAN", "GO")}
    debian, go = (found.group(1).split() for found in pins.values() if found)
    assert all(re.fullmatch(r"[a-z.-]+=[0-9][0-9.]+\S*", pin) for pin in debian)
    go_pin = r"[a-z]+=[a-z0-9./-]+@v[0-9]+\.[0-9]+\.[0-9]+(-[0-9]{14}-[0-9a-f]{12})?"  # or a commit
    assert all(re.fullmatch(go_pin, pin) for pin in go)
    package = json.loads((ROOT / "tools/node/package.json").read_text(encoding="utf-8"))
    versions = [*package["dependencies"].values(), *package["overrides"].values()]
    assert all(re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", version) for version in versions)
