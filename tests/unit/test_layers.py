"""What import-linter cannot see: opened files, clocks, async functions, and who makes an attestation or a decision."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "gateway"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
CORE = (
    "credentials/",
    "ecosystems/",
    "errors.py",
    "limits.py",
    "model/",
    "policy/",
    "reasons/",
    "signing/",
    "strict/",
    "verification/",
)
CORE_MODULES = [module for module in MODULES if module.startswith(CORE)]
ECOSYSTEMS = ("cargo", "generic", "maven", "npm", "nuget", "oci", "pypi", "rubygems")
READS_SHIPPED_TEXT = {"reasons/pages.py"}  # the pages of the codes are part of the program


def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"), filename=module)


def calls(module: str) -> Iterator[tuple[str, int]]:
    """Yield every call as its dotted name and line: `open`, `datetime.now`, `path.read_text`."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def imports(module: str) -> Iterator[tuple[str, int]]:
    """Yield every imported name in full, with its line."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def made(name: str, allowed: tuple[str, ...]) -> list[str]:
    """Return the places outside `allowed` that call `name`, under whatever module it is reached by."""
    return [
        f"{module}:{line}"
        for module in MODULES
        if not module.startswith(allowed)
        for called, line in calls(module)
        if called.split(".")[-1] == name
    ]


def test_there_is_a_core_to_look_at() -> None:
    assert len(CORE_MODULES) > 10


@pytest.mark.parametrize("module", CORE_MODULES)
def test_the_core_opens_no_file_and_runs_no_text(module: str) -> None:
    forbidden = {"open", "io.open", "print", "input", "exec", "eval", "compile", "__import__"}
    methods = {"read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir"}
    found = [
        f"{module}:{line}: {called}"
        for called, line in calls(module)
        if called in forbidden or ("." in called and called.split(".")[-1] in methods)
    ]
    assert module in READS_SHIPPED_TEXT or not found


@pytest.mark.parametrize("module", CORE_MODULES)
def test_the_core_imports_no_way_out_that_has_a_harmless_sibling(module: str) -> None:
    found = [
        f"{module}:{line}: {name}"
        for name, line in imports(module)
        if (name.startswith("urllib") and not name.startswith("urllib.parse"))
        or (name.startswith("importlib") and module not in READS_SHIPPED_TEXT)
    ]
    assert not found


@pytest.mark.parametrize("module", CORE_MODULES)
def test_the_core_is_synchronous(module: str) -> None:
    kinds = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)
    assert not [f"{module}:{node.lineno}" for node in ast.walk(tree(module)) if isinstance(node, kinds)]


def test_only_verification_makes_an_attestation() -> None:
    assert not made("Attestation", ("verification/",))


def test_only_policy_makes_a_decision() -> None:
    assert not made("Decision", ("policy/",))


def test_the_time_comes_from_one_injected_clock() -> None:
    clocks = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
    owners = {"datetime", "dt", "date", "time"}
    found = [
        f"{module}:{line}: {called}"
        for module in MODULES
        if not module.startswith(("cli/", "service/", "demo/"))
        for called, line in calls(module)
        if called.split(".")[-1] in clocks and called.split(".")[-2:-1] and called.split(".")[-2] in owners
    ]
    assert not found


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("ecosystems/")])
def test_an_ecosystem_knows_nothing_of_its_siblings(module: str) -> None:
    own = next((name for name in ECOSYSTEMS if Path(module).stem.split("_")[0] == name), None)
    if own is None:
        return  # shared by all: the protocol's type, the table, the measuring, the words
    others = tuple(f"gateway.ecosystems.{name}" for name in ECOSYSTEMS if name != own)
    assert not [f"{module}:{line}: {name}" for name, line in imports(module) if name.startswith(others)]
