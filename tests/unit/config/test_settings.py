"""The settings file to values, and every problem of it with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import limits
from gateway.config import (
    Listen,
    ReadAuth,
    Reads,
    RegistrySettings,
    Removal,
    Secret,
    Settings,
    SpoolSettings,
    load_settings,
    settings_schema,
)
from gateway.errors import ConfigurationError
from tests.lab.settings import GOOD

Reader = Callable[[str], Settings]
REGISTRY = """\
  - name: second
    ecosystem: pypi
    upstream: https://second.acme.example
    upstream_credential: none
"""


def problems(read: Reader, text: str) -> list[str]:
    """The problems, each from its line on."""
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return [problem.partition("gateway.yaml:")[2] for problem in caught.value.problems]


def test_the_smallest_file_gives_every_default(read: Reader, tmp_path: Path) -> None:
    assert read(GOOD) == Settings(
        file=tmp_path / "gateway.yaml",
        listen=Listen("127.0.0.1", 8080),
        public_url="https://pypi.acme.example",
        sandbox=False,
        registries=(
            RegistrySettings(
                name="python",
                ecosystem="pypi",
                mount="/pypi",
                host=None,
                listen=None,
                public_url="https://pypi.acme.example/pypi",
                upstream="http://127.0.0.1:8081",
                upstream_credential=Secret("Basic Z2F0ZXdheTpodW50ZXIy"),
                upstream_reachable_only_here=False,
                remove=Removal.NONE,
                reads=Reads.OPEN,
                read_auth=ReadAuth.GRANT,
                max_file=limits.UPLOAD_FILE,
                also_known_as=(),
            ),
        ),
        trust_roots=tmp_path / "trust_roots",
        policy=tmp_path / "policy",
        store=f"sqlite:///{tmp_path}/provgate.db",
        key_file=tmp_path / "provgate.db.key",
        spool=SpoolSettings(tmp_path / "spool", limits.SPOOL_TOTAL, limits.SPOOL_PER_GRANT),
        second_opinion=True,
    )


def test_paths_are_relative_to_the_file_and_absolute_ones_stay(read: Reader, tmp_path: Path) -> None:
    settings = read(
        GOOD
        + "store: sqlite:////var/lib/provgate/record.db\nkey_file: secrets/key\npolicy: /etc/policy\n"
        + "spool: {directory: state/spool, total: 1GiB, per_credential: 1048576}\n"
    )
    assert settings.store == "sqlite:////var/lib/provgate/record.db"
    assert settings.store_path == Path("/var/lib/provgate/record.db")
    assert settings.key_file == tmp_path / "secrets" / "key"
    assert settings.policy == Path("/etc/policy")
    assert settings.spool == SpoolSettings(tmp_path / "state" / "spool", limits.GIB, limits.MIB)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gateway\.yaml: No such file"):
        load_settings(tmp_path / "gateway.yaml", {})


def test_a_file_is_read_with_the_environment_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "gateway.yaml").write_text(GOOD)
    credential = load_settings(tmp_path / "gateway.yaml", {"PYPI": "a:b"}).registries[0].upstream_credential
    assert credential == Secret("Basic YTpi")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "lisen: x\n", "1:1: "),
        ("    mount: /pypi\n", "", "4:5: a registry needs one of mount, host and listen"),
        ("mount: /pypi", "mount: /-/d", "6:12: paths below /-/ are the gateway's own; choose another mount"),
        ("mount: /pypi", "mount: /-", "6:12: paths below /-/ are the gateway's own; choose another mount"),
        ("mount: /pypi", "mount: /a/../b", "6:12: clients resolve . and .. away; choose another mount"),
        ("mount: /pypi", "mount: /pypi/", "6:12: "),
        ("mount: /pypi", "mount: pypi", "6:12: "),
        ("ecosystem: pypi", "ecosystem: pipy", "5:16: "),
        ("name: python", "name: Python", "4:11: "),
        ("    upstream_credential: env:PYPI\n", "", "4:5: "),
        ("127.0.0.1:8080", "127.0.0.1:65536", "1:9: port 65536 is above 65535"),
        ("127.0.0.1:8080", "127.0.0.1", "1:9: "),
        ("https://pypi.acme.example", "https://acme.example/x", "2:13: public_url has no path: /-/ stands at the root"),
        ("https://pypi.acme.example", "ftp://acme.example", "2:13: "),
        ("https://pypi.acme.example", "https://[::1", "2:13: public_url is not an address"),
        ("https://pypi.acme.example", "https://acme.example?x", "2:13: public_url has no ? or #"),
        ("https://pypi.acme.example", f"https://{'a' * 36}", "2:13: public_url has 44 characters; with more than 43"),
        ("http://127.0.0.1:8081", "http://jane:hunter2@127.0.0.1:8081", "7:15: a credential is never written into an"),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081/?x=1", "7:15: upstream has no ? or #"),
        ("env:PYPI", "env:PIPY", "8:26: the environment has no PIPY; set it"),
        ("env:PYPI", "hunter2", "8:26: expected none, env:NAME or file:PATH"),
        ("env:PYPI", "'file:'", "8:26: expected none, env:NAME or file:PATH"),
        (
            "listen: 127.0.0.1:8080\npublic_url: https://pypi.acme.example",
            "listen: 0.0.0.0:80",
            "1:9: needs public_url",
        ),
    ],
)
def test_each_near_miss_is_one_problem_at_its_place(read: Reader, old: str, new: str, expected: str) -> None:
    (problem,) = problems(read, GOOD.replace(old, new, 1) if old else new + GOOD)
    assert problem.startswith(expected)
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "setting", ["store: postgresql:///x\n", "store: sqlite:///\n", "store: 'sqlite:///x?mode=rw'\n"]
)
def test_a_store_that_cannot_be_opened_as_it_is_written_is_a_problem(read: Reader, setting: str) -> None:
    (problem,) = problems(read, GOOD + setting)
    assert problem.startswith("9:8: ")


def test_a_permalink_of_seventy_characters_is_the_longest(read: Reader) -> None:
    url = f"https://{'a' * 35}"
    assert len(f"{url}/-/d/" + "x" * 22) == limits.PERMALINK
    assert read(GOOD.replace("https://pypi.acme.example", url)).public_url == url


def test_every_problem_is_told_at_once_in_one_error(read: Reader) -> None:
    text = GOOD.replace("env:PYPI", "env:PIPY").replace("mount: /pypi", "mount: /-") + REGISTRY
    assert [problem.split(":")[0] for problem in problems(read, text)] == ["6", "8", "9"]


def test_a_gateway_without_registries_is_a_problem(read: Reader) -> None:
    assert problems(read, "registries: []\n") == ["1:13: registries is empty; name at least one"]


# --- several registries -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ("    mount: /pypi\n", "13:12: registry python has the same address"),
        ("    mount: /pypi/second\n", "13:12: the mounts of python and second lie within one another"),
        ("    mount: /\n", "13:12: the mounts of python and second lie within one another"),
        ("    mount: /second\n", "10:16: clients of python on the same host also ask for /_/oidc"),
        ("    mount: /second\n    listen: 127.0.0.1:8080\n", "10:16: clients of python on the same host also ask"),
        ("    mount: /pypi2\n    host: a.example\n    listen: 127.0.0.1:99999\n", "15:13: port 99999"),
    ],
)
def test_two_registries_that_would_answer_for_one_another_are_a_problem(
    read: Reader, second: str, expected: str
) -> None:
    (problem,) = problems(read, GOOD + REGISTRY + second)
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("second", "public_url"),
    [
        ("    host: second.acme.example\n", "https://second.acme.example"),
        ("    host: second.acme.example\n    mount: /pypi\n", "https://second.acme.example/pypi"),
        ("    listen: 127.0.0.1:8082\n", "http://127.0.0.1:8082"),
        ("    listen: '[::1]:8080'\n    mount: /pypi\n", "http://[::1]:8080/pypi"),
        ("    listen: 127.0.0.1:8082\n    public_url: https://x.example/y/\n", "https://x.example/y"),
    ],
)
def test_two_registries_with_addresses_of_their_own_stand_side_by_side(
    read: Reader, second: str, public_url: str
) -> None:
    settings = read(GOOD + REGISTRY + second)
    assert settings.registries[1].public_url == public_url
    assert settings.registries[1].upstream_credential is None


def test_two_registries_of_one_name_are_a_problem(read: Reader) -> None:
    (problem,) = problems(read, GOOD + REGISTRY.replace("second\n", "python\n", 1) + "    host: second.acme.example\n")
    assert problem == "9:11: two registries are named python; rename one"


# --- oci ----------------------------------------------------------------------------------------------------------

IMAGES = """\
  - name: images
    ecosystem: oci
    upstream: http://127.0.0.1:5000
    upstream_credential: none
"""


@pytest.mark.parametrize(
    ("placed", "public_url"),
    [
        ("", "https://pypi.acme.example"),
        ("    host: oci.acme.example\n", "https://oci.acme.example"),
        ("    listen: 127.0.0.1:5001\n", "http://127.0.0.1:5001"),
        ("    public_url: https://oci.acme.example:8443\n", "https://oci.acme.example:8443"),
    ],
)
def test_an_oci_registry_is_at_v2_of_its_host_and_is_named_by_the_host_alone(
    read: Reader, placed: str, public_url: str
) -> None:
    images = read(GOOD + IMAGES + placed).registries[1]
    assert (images.mount, images.public_url, images.quarantine) == ("/v2", public_url, "")


def test_an_oci_registry_may_have_a_quarantine_and_other_names(read: Reader) -> None:
    text = "    quarantine: held/here\n    also_known_as: ['old.acme.example:5000', 'oci.acme.example']\n"
    images = read(GOOD + IMAGES + text).registries[1]
    assert images.quarantine == "held/here"
    assert images.also_known_as == ("old.acme.example:5000", "oci.acme.example")


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("    mount: /v2\n", "13:12: an oci registry is always at /v2 of its host"),
        ("    read_auth: passthrough\n", "13:16: an oci registry's clients get tokens of this gateway"),
        ("    public_url: https://acme.example/oci\n", "13:17: an oci registry is named by host and port"),
        ("    quarantine: Held\n", "13:17: "),
        ("    quarantine: held/\n", "13:17: "),
        (IMAGES.replace("images", "second"), "13:5: registry images has the same address"),
        (REGISTRY.replace("pypi", "npm") + "    mount: /v2\n", "17:12: registry images has the same address"),
        (
            REGISTRY.replace("pypi", "npm") + "    mount: /v2/pypi\n",
            "17:12: the mounts of images and second lie within one another",
        ),
    ],
)
def test_each_near_miss_of_an_oci_registry_is_one_problem(read: Reader, wrong: str, expected: str) -> None:
    (problem,) = problems(read, GOOD + IMAGES + wrong)
    assert problem.startswith(expected)


def test_a_quarantine_elsewhere_is_a_problem(read: Reader) -> None:
    (problem,) = problems(read, GOOD + "    quarantine: held\n")
    assert problem.startswith("9:17: quarantine is for oci")


# --- the sandbox (CONTRACTS G.1) ----------------------------------------------------------------------------------


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "'[::1]:8080'", "localhost:8080", "127.1.2.3:80"])
def test_a_sandbox_is_admitted_on_loopback(read: Reader, listen: str) -> None:
    assert read(GOOD.replace("127.0.0.1:8080", listen, 1) + "sandbox: true\n").sandbox


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "'[::]:8080'", "10.0.0.1:8080", "localhost.evil.example:80"])
def test_a_sandbox_is_refused_where_others_can_reach_it(read: Reader, listen: str) -> None:
    text = GOOD.replace("127.0.0.1:8080", listen, 1) + "sandbox: true\n"
    (problem,) = problems(read, text)
    assert problem.startswith("1:9: sandbox: true admits certificates that anyone can make")
    (problem,) = problems(read, GOOD + REGISTRY + f"    listen: {listen}\nsandbox: true\n")
    assert problem.startswith("13:13: sandbox: true admits certificates that anyone can make")


# --- the schema ---------------------------------------------------------------------------------------------------


def test_the_schema_is_json_and_describes_every_key() -> None:
    schema = json.loads(json.dumps(settings_schema()))
    assert schema["required"] == ["registries"]
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["RegistryDocument"]["required"] == ["name", "ecosystem", "upstream", "upstream_credential"]


# --- signing keys -----------------------------------------------------------------------------------------------------

NPM = GOOD.replace("ecosystem: pypi", "ecosystem: npm")
TEXT = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "npm.pem"
    path.touch(mode=0o600)
    path.write_bytes(TEXT)
    return path


def test_signing_keys_are_read_in_order_with_their_expiry(read: Reader, pem: Path) -> None:
    other = pem.with_name("other.pem")
    other.touch(mode=0o600)
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    other.write_bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    text = NPM + "    signing_keys:\n      - {key: file:npm.pem}\n"
    (registry,) = read(text + "      - {key: file:other.pem, expires: 2026-06-01T00:00:00Z}\n").registries
    assert [(key.private is not None, key.expires) for key in registry.signing_keys] == [
        (True, None),
        (False, datetime(2026, 6, 1, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("[{key: file:absent.pem}]", "9:26: "),
        ("[{key: npm.pem}]", "9:26: expected none, env:NAME or file:PATH; a secret is never written into this file"),
        ("[{key: env:PYPI}]", "9:26: env:PYPI: not a key in PEM without a password; provgate npm new-key makes one"),
        ("[{key: file:npm.pem}, {key: file:npm.pem}]", "9:47: the key SHA256:"),
        ("[{key: file:npm.pem, expires: 2026-06-01T00:00:00}]", "9:49: "),
        ("[{key: file:npm.pem, expires: soon}]", "9:49: "),
        ("[{expires: 2026-06-01T00:00:00Z}]", "9:20: "),
    ],
)
def test_a_signing_key_that_is_none_is_told_with_its_place(read: Reader, pem: Path, keys: str, expected: str) -> None:
    assert pem.exists()
    (problem,) = problems(read, f"{NPM}    signing_keys: {keys}\n")
    assert problem.startswith(expected)
    assert "PRIVATE" not in problem
    assert "hunter2" not in problem


def test_a_signing_key_that_others_can_read_is_refused(read: Reader, pem: Path) -> None:
    pem.chmod(0o644)
    (problem,) = problems(read, NPM + "    signing_keys: [{key: file:npm.pem}]\n")
    assert "mode 0644 lets others read the secret; run: chmod 600" in problem


def test_signing_keys_are_for_npm_alone(read: Reader, pem: Path) -> None:
    assert pem.exists()
    (problem,) = problems(read, GOOD + "    signing_keys: [{key: file:npm.pem}]\n")
    assert problem.startswith("9:19: signing_keys are for npm")
