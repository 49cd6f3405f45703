"""Names: one text for every spelling of one name, and a refusal for what only looks like a name."""

from __future__ import annotations

import re

import pytest

from gateway.errors import Malformed
from gateway.model import names


@pytest.mark.parametrize("spelling", ["acme-lib", "Acme_Lib", "acme.lib", "ACME--lib", "acme-_.lib"])
def test_every_spelling_of_a_project_is_one_name(spelling: str) -> None:
    assert names.pypi_name(spelling) == "acme-lib"
    assert names.purl("pypi", spelling) == "pkg:pypi/acme-lib"


@pytest.mark.parametrize(
    "text",
    [
        "", "-a", "a-", "_a", "a.", "..", "a b", "a\n", "a\x00", "a/b", "a%2fb",
        "\u212ait",  # the Kelvin sign lower-cases to k
        "acme\u2010lib", "acm\u0435", "\u017fix", "a" * 256,
    ],
)  # fmt: skip
def test_what_is_no_project_name_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        names.pypi_name(text)


@pytest.mark.parametrize(
    ("spelling", "normal"),
    [
        ("1.0", "1"), ("1.0.0", "1"), ("1", "1"), ("01.0", "1"), ("v1.0", "1"), ("1.0.10", "1.0.10"),
        ("1.0-1", "1.post1"), ("1.0.POST1", "1.post1"), ("1.0RC1", "1rc1"), ("1.0-alpha.0", "1a0"),
        ("1!2.0", "1!2"), ("0!2", "2"), ("1.0+Local_1", "1+local.1"), ("1.0.dev0", "1.dev0"),
    ],
)  # fmt: skip
def test_every_spelling_of_a_version_is_one_version(spelling: str, normal: str) -> None:
    assert names.pypi_version(spelling) == normal


@pytest.mark.parametrize(
    "text",
    ["", " 1.0", "1.0 ", "1.0\n", "1..0", "1.0.", "latest", "1.0+", "1.0_1", "\u0661.0", "1.0.po\u017ft1", "9" * 5000],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        names.pypi_version(text)


@pytest.mark.parametrize(
    ("file_name", "canonical"),
    [
        ("acme_lib-1.0-py3-none-any.whl", "acme_lib-1-py3-none-any.whl"),
        ("Acme.Lib-1.0.0-py3-none-any.whl", "acme_lib-1-py3-none-any.whl"),
        ("acme_lib-1.0-py3.py2-none-any.whl", "acme_lib-1-py2.py3-none-any.whl"),
        ("acme_lib-1.0-PY3-None-Any.whl", "acme_lib-1-py3-none-any.whl"),
        ("acme_lib-1.0-001b-py3-none-any.whl", "acme_lib-1-1b-py3-none-any.whl"),
        ("acme_lib-1.0-0-py3-none-any.whl", "acme_lib-1-0-py3-none-any.whl"),
        ("acme_lib-1!2.0+Cpu.1-cp311-cp311-linux_x86_64.whl", "acme_lib-1!2+cpu.1-cp311-cp311-linux_x86_64.whl"),
        (
            "a-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "a-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        ),
        ("acme-lib-1.0.tar.gz", "acme_lib-1.tar.gz"),
        ("acme_lib-1.0.0.tar.gz", "acme_lib-1.tar.gz"),
        ("OVW-1.0.zip", "ovw-1.zip"),
        ("acme-1!2.0+local.1.tar.gz", "acme-1!2+local.1.tar.gz"),
    ],
)
def test_every_spelling_of_a_file_is_one_name(file_name: str, canonical: str) -> None:
    assert names.canonical_file("pypi", file_name) == canonical
    assert names.canonical_file("pypi", canonical) == canonical


@pytest.mark.parametrize(
    "file_name",
    [
        "", ".whl", "acme.whl", "acme-1.0.whl", "acme-1.0-py3-none.whl", "acme-1.0-py3-none-any.whl.",
        "acme-1.0-py3-none-any.whl\n", "acme-1.0-py3-none-any.WHL", "acme-1.0-py3-none-any.whl.exe",
        "acme-1.0-x1-py3-none-any.whl", "acme-1.0-1-2-py3-none-any.whl", "acme-1.0-py3-none-any .whl",
        "acme-1.0-py3..py2-none-any.whl", "acme-1.0-.py3-none-any.whl", "acme-1.0--none-any.whl",
        "-1.0-py3-none-any.whl", "_-1.0-py3-none-any.whl", "acme--py3-none-any.whl",
        "acme-latest-py3-none-any.whl", "acme-1.0_1-py3-none-any.whl",
        "../acme-1.0-py3-none-any.whl", "a/acme-1.0-py3-none-any.whl", "a\\acme-1.0-py3-none-any.whl",
        "..-1.0-py3-none-any.whl", "acme-..-py3-none-any.whl", "acme-1.0-py3-none-any%00.whl",
        "acme-1.0-py3-none-any\x00.whl",
        "\u212acme-1.0-py3-none-any.whl", "acme-1.0-py\u0663-none-any.whl", "acme-1.0-py3-none-an\uff59.whl",
        "acme-1.0.tar.bz2", "acme-1.0.TAR.GZ", "acme-1.0.Tar.gz", "acme-1.0.tgz", "acme-1.0.egg", "acme.tar.gz",
        "-1.0.tar.gz", "acme-.tar.gz", "acme-1.0.tar.gz.asc", "acme-1.0.tar.gz\r\n", "acme-1.0..tar.gz",
        "a" * 250 + "-1.0.tar.gz",
    ],
)  # fmt: skip
def test_what_is_no_distribution_is_refused(file_name: str) -> None:
    with pytest.raises(Malformed):
        names.canonical_file("pypi", file_name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("acme-1.0-py3-none-any.whl", "acme-1.1-py3-none-any.whl"),
        ("acme-1.0-py3-none-any.whl", "acme-1.0-1-py3-none-any.whl"),
        ("acme-1.0-py3-none-any.whl", "acme-1.0-py2.py3-none-any.whl"),
        ("acme-1.0-1-py3-none-any.whl", "acme-1.0-10-py3-none-any.whl"),
        ("acme-1.0.tar.gz", "acme-1.0.zip"),
        ("acme-1.0.tar.gz", "acme-1!1.0.tar.gz"),
        ("acme-1.0.tar.gz", "acme-1.0+1.tar.gz"),
        ("acme-1.0.tar.gz", "acmee-1.0.tar.gz"),
    ],
)
def test_two_files_have_two_names(one: str, other: str) -> None:
    assert names.canonical_file("pypi", one) != names.canonical_file("pypi", other)


def test_a_file_spells_its_name_and_version() -> None:
    assert names.pypi_spelled("Acme.Lib-1.0.0-py3-none-any.whl") == ("Acme.Lib", "1.0.0")
    assert names.pypi_spelled("acme-lib-1.0.tar.gz") == ("acme-lib", "1.0")
    assert names.canonical_package("acme_lib-1.tar.gz") == "acme-lib"


def test_purls_escape_a_scope_and_nothing_else() -> None:
    assert names.purl("npm", "@acme/widget") == "pkg:npm/%40acme/widget"
    assert names.purl("npm", "widget") == "pkg:npm/widget"
    assert names.purl("oci", "team/app-x") == "pkg:oci/team/app-x"


@pytest.mark.parametrize(
    ("ecosystem", "name"),
    [
        ("npm", "@acme"), ("npm", "@/x"), ("npm", "@acme/widget/x"), ("npm", "Widget"), ("npm", ".x"), ("npm", "_x"),
        ("npm", "@acme/.."), ("npm", "acme/widget"), ("npm", "%40acme/widget"), ("npm", "a\n"), ("npm", "a" * 215),
        ("oci", "Team/app"), ("oci", "/app"), ("oci", "app/"), ("oci", "a//b"), ("oci", "a/../b"), ("oci", "a:b"),
        ("oci", ""),
        ("maven", "acme"), ("pypi", "-"),
    ],
)  # fmt: skip
def test_what_is_no_package_has_no_purl(ecosystem: str, name: str) -> None:
    with pytest.raises(Malformed):
        names.purl(ecosystem, name)


def test_only_pypi_has_canonical_files() -> None:
    with pytest.raises(Malformed, match=re.escape("npm gives files no names")):
        names.canonical_file("npm", "acme-1.0.0.tgz")


@pytest.mark.parametrize("text", ["1.0.0", "latest", "_", "A", "v1.0-rc.1_2", "x" * 128])
def test_a_tag_has_one_spelling(text: str) -> None:
    assert names.oci_tag(text) == text
    assert names.oci_canonical("team/app", text) == f"team/app:{text}"


@pytest.mark.parametrize("text", ["", ".x", "-x", "a/b", "a:b", "a b", "a\n", "é", "\u212a", "x" * 129, "a@b", "a%2Eb"])
def test_what_is_no_tag(text: str) -> None:
    with pytest.raises(Malformed):
        names.oci_tag(text)
