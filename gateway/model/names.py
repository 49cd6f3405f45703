"""Names as each ecosystem normalises them: packages, versions, files, purls. ASCII only, matched whole.

Two spellings that a registry or an installer takes for one name give one text here, so that a name is reserved,
bound to a digest and compared with evidence once (CONTRACTS E.1).
Sources: PEP 503 and 508 (names), PEP 440 (versions), PEP 427, 491 and 625 (files), the purl specification.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

from gateway.errors import Malformed

_LONGEST: Final = 255  # bytes; what a file system takes
_PYPI_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_PYPI_VERSION: Final = re.compile(r"[A-Za-z0-9.!+_-]+")
_WHEEL: Final = re.compile(
    r"(?P<name>[A-Za-z0-9._]+)-(?P<version>[A-Za-z0-9.!+_]+)(?:-(?P<build>[0-9][A-Za-z0-9_.]*))?"
    r"-(?P<python>[A-Za-z0-9_.]+)-(?P<abi>[A-Za-z0-9_.]+)-(?P<platform>[A-Za-z0-9_.]+)\.whl"
)
_SDIST: Final = re.compile(r"(?P<name>[A-Za-z0-9._-]+)-(?P<version>[A-Za-z0-9.!+_]+)(?P<suffix>\.tar\.gz|\.zip)")
_BUILD: Final = re.compile(r"0*([0-9]+)(.*)")
_NPM_PART: Final = r"[a-z0-9~-][a-z0-9._~-]*"
_NPM_NAME: Final = re.compile(rf"(?:@{_NPM_PART}/)?{_NPM_PART}")
_NPM_NUMBER: Final = r"(?:0|[1-9][0-9]{0,14})"  # all of them safe integers to JavaScript
_NPM_IDENTIFIER: Final = rf"(?:{_NPM_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_NPM_VERSION: Final = re.compile(
    rf"{_NPM_NUMBER}\.{_NPM_NUMBER}\.{_NPM_NUMBER}(?:-{_NPM_IDENTIFIER}(?:\.{_NPM_IDENTIFIER})*)?"
)
_NPM_TAG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,127}")
_NPM_X: Final = r"(?:[0-9]+|[xX])"
_NPM_RANGE: Final = re.compile(rf"[vV]?{_NPM_X}(?:\.{_NPM_X}(?:\.{_NPM_X}.*)?)?")
_OCI_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_OCI_NAME: Final = re.compile(rf"{_OCI_PART}(?:/{_OCI_PART})*")
_OCI_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class PypiFile:
    """A distribution's file name taken apart: `name` and `version` as spelled in it, `canonical` the normal form."""

    name: str
    version: str
    kind: str  # `wheel` or `sdist`
    canonical: str


def pypi_name(text: str) -> str:
    """Normalise a project's name (PEP 503); raises `Malformed` for what is not one."""
    if len(text) > _LONGEST or _PYPI_NAME.fullmatch(text) is None:
        raise Malformed("package name", "not letters, digits, `.`, `_` and `-` between two letters or digits")
    return re.sub(r"[-_.]+", "-", text).lower()


def pypi_version(text: str) -> str:
    """Normalise a version (PEP 440, without trailing zeros of the release); raises `Malformed` for what is not one."""
    try:
        if len(text) > _LONGEST or _PYPI_VERSION.fullmatch(text) is None:
            raise Malformed("version", "not a version of PEP 440")
        return canonicalize_version(Version(text))
    except (InvalidVersion, ValueError):  # ValueError: more digits than Python turns into a number
        raise Malformed("version", "not a version of PEP 440") from None


def pypi_file(file_name: str) -> PypiFile:
    """Take apart the file name of a wheel or an sdist; raises `Malformed` for any other.

    The canonical form has the name and version normalised, the build tag's number without leading zeros, compressed
    tags sorted, and all of it in lower case.
    """
    if len(file_name) > _LONGEST:
        raise Malformed("file name", f"longer than {_LONGEST} characters")
    if match := _WHEEL.fullmatch(file_name):
        parts = [_distribution(match["name"]), pypi_version(match["version"])]
        if match["build"] is not None:
            number = _BUILD.fullmatch(match["build"])
            assert number is not None
            parts.append(f"{number[1]}{number[2]}".lower())
        parts += [_tags(match[tag]) for tag in ("python", "abi", "platform")]
        return PypiFile(match["name"], match["version"], "wheel", f"{'-'.join(parts)}.whl")
    if match := _SDIST.fullmatch(file_name):
        stem = f"{_distribution(match['name'])}-{pypi_version(match['version'])}"
        return PypiFile(match["name"], match["version"], "sdist", f"{stem}{match['suffix']}")
    raise Malformed("file name", "neither a wheel's (.whl) nor an sdist's (.tar.gz, .zip)")


def pypi_spelled(file_name: str) -> tuple[str, str]:
    """The name and the version as a distribution's file name spells them."""
    file = pypi_file(file_name)
    return file.name, file.version


def canonical_file(ecosystem: str, file_name: str) -> str:
    """The one name under which a file is reserved, bound and compared; raises `Malformed` where it has none."""
    if ecosystem == "pypi":
        return pypi_file(file_name).canonical
    raise Malformed("file name", f"{ecosystem} gives files no names of their own")


def canonical_package(canonical: str) -> str:
    """The normalised name of the package that a canonical PyPI file belongs to."""
    return pypi_name(pypi_file(canonical).name)


def purl(ecosystem: str, name: str) -> str:
    """The purl of a package without version; takes the ecosystem's own spelling of a name, raises `Malformed`."""
    match ecosystem:
        case "pypi":
            return f"pkg:pypi/{pypi_name(name)}"
        case "npm":
            return f"pkg:npm/{npm_name(name).replace('@', '%40', 1)}"
        case "oci":
            return f"pkg:oci/{oci_name(name)}"
        case _:
            raise Malformed("package name", f"of the unknown ecosystem {ecosystem}")


def npm_name(text: str) -> str:
    """Return an npm package's name, which has one spelling only; raises `Malformed` for what is not one.

    Names of before 2014 with capitals are refused: to some registries and file systems they are another's.
    """
    if len(text) > 214 or _NPM_NAME.fullmatch(text) is None:
        raise Malformed("package name", "not an npm name: lower case, digits, `-`, `.`, `_`, `~`, at most one scope")
    return text


def npm_version(text: str) -> str:
    """Return an npm package's version, which has one spelling only; raises `Malformed` for what is not one.

    Semantic Versioning 2.0 without build metadata, which npm takes off: two builds would be one version.
    """
    if len(text) > _LONGEST or _NPM_VERSION.fullmatch(text) is None:
        raise Malformed("version", "not a semantic version like 1.0.0 or 1.0.0-rc.1, without build metadata")
    return text


def npm_tag(text: str) -> str:
    """Return a dist-tag, which has one spelling only; raises `Malformed` for what is not one.

    A tag that reads as a range of versions would never be looked up, or be taken for one.
    """
    if _NPM_TAG.fullmatch(text) is None or _NPM_RANGE.fullmatch(text) is not None:
        raise Malformed("the tag", "not a name of letters, digits, `-`, `.`, `_` and `~`, or a range of versions")
    return text


def npm_file(name: str, version: str) -> str:
    """Return the name that a registry gives a version's tarball; it has no scope, so it is not the canonical one."""
    return f"{name.rpartition('/')[2]}-{version}.tgz"


def npm_canonical(name: str, version: str) -> str:
    """Return the one name under which a version's tarball is reserved and bound.

    `a-1.0.0-2.0.0.tgz` is version 1.0.0-2.0.0 of `a` and version 2.0.0 of `a-1.0.0`: the file's own name will not do.
    """
    return f"{name}@{version}"


def oci_name(text: str) -> str:
    """Return an OCI repository's path, which has one spelling only; raises `Malformed` for what is not one."""
    if len(text) > _LONGEST or _OCI_NAME.fullmatch(text) is None:
        raise Malformed("repository", "not a repository name of the OCI distribution specification")
    return text


def oci_tag(text: str) -> str:
    """Return a tag, which has one spelling only; raises `Malformed` for what is not one."""
    if _OCI_TAG.fullmatch(text) is None:
        raise Malformed("tag", "not a tag of the OCI distribution specification")
    return text


def oci_canonical(repository: str, tag: str) -> str:
    """Return the one name under which a tag is reserved and bound."""
    return f"{repository}:{tag}"


def _distribution(name: str) -> str:
    return pypi_name(name).replace("-", "_")


def _tags(text: str) -> str:
    tags = text.lower().split(".")
    if "" in tags:
        raise Malformed("file name", "an empty tag")
    return ".".join(sorted(set(tags)))
