"""Who asks an OCI registry: challenges, access tokens, scopes (CONTRACTS A.2, A.3)."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.config import ReadAuth
from gateway.credentials import Access, Scope, mint_access
from tests.lab.docker_registry import DockerRegistry, docker_registry
from tests.lab.gate import KEY
from tests.lab.image_gate import ImageGate, image_gate
from tests.lab.raw import exchange

REALM = 'Bearer realm="{base}/-/token",service="images"'


def basic(password: str, user: str = "ci") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def gate(registry: DockerRegistry, tmp_path: Path) -> AsyncIterator[ImageGate]:
    async with image_gate(tmp_path, registry.url, basic("lab-registry-secret", "gateway")) as running:
        yield running


@pytest.fixture
async def public(registry: DockerRegistry, tmp_path: Path) -> AsyncIterator[ImageGate]:
    credential = basic("lab-registry-secret", "gateway")
    async with image_gate(tmp_path, registry.url, credential, read_auth=ReadAuth.NONE) as running:
        yield running


async def access(gate: ImageGate, scope: str, token: str | None = None, **more: str) -> str:
    """What the token endpoint gives; no Authorization where the token is empty."""
    headers = {} if token == "" else {"Authorization": basic(gate.token if token is None else token)}
    asked = f"service=images&scope={quote(scope, safe='')}" + "".join(f"&{k}={v}" for k, v in more.items())
    answer = await gate.ask("GET", f"/-/token?{asked}", token="", **headers)
    assert answer.status == 200, answer
    assert answer.json["token"] == answer.json["access_token"]
    return str(answer.json["token"])


# --- the challenge ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("shown", [None, "Basic Og=="])
async def test_the_ping_without_a_credential_is_always_a_bearer_challenge(
    gate: ImageGate, public: ImageGate, path: str, shown: str | None
) -> None:
    for one in (gate, public):
        headers = {"Authorization": shown} if shown else {}
        answer = await one.ask("GET", path, token="", **headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == REALM.format(base=one.base)
        assert answer.code == "UNAUTHORIZED credential-missing"


@pytest.mark.parametrize("make", ["bearer", "basic", "access"])
async def test_the_ping_with_a_credential_is_answered(gate: ImageGate, make: str) -> None:
    shown = {"bearer": f"Bearer {gate.token}", "basic": basic(gate.token)}
    shown["access"] = f"Bearer {await access(gate, '')}"
    answer = await gate.ask("GET", "/v2/", token="", Authorization=shown[make])
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v2/team/app/blobs/uploads/", "repository:team/app:pull,push"),
        ("PUT", "/v2/team/app/manifests/1.0", "repository:team/app:pull,push"),
        ("GET", "/v2/team/app/manifests/1.0", "repository:team/app:pull"),
        ("GET", "/v2/team/app/tags/list", "repository:team/app:pull"),
        ("DELETE", "/v2/team/app/manifests/1.0", "repository:team/app:delete"),
    ],
)
async def test_a_challenge_names_the_scope_and_nothing_is_recorded(
    gate: ImageGate, method: str, path: str, scope: str
) -> None:
    answer = await gate.ask(method, path, token="")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == REALM.format(base=gate.base) + f',scope="{scope}"'
    assert await gate.store.open_intents() == ()


@pytest.mark.parametrize(
    ("shown", "error", "code"),
    [
        ("Bearer pvg_nosuch", 'error="invalid_token"', "credential-invalid"),
        ("Bearer pvg_access.e30.AAAA", 'error="invalid_token"', "credential-invalid"),
        ("Bearer somebody-elses", "", "credential-invalid"),
        (basic("hunter2"), "", "credential-invalid"),
    ],
)
async def test_what_is_no_credential_of_ours_is_a_challenge(gate: ImageGate, shown: str, error: str, code: str) -> None:
    answer = await gate.ask("GET", "/v2/team/app/manifests/1.0", token="", Authorization=shown)
    assert answer.status == 401
    assert answer.code == f"UNAUTHORIZED {code}"
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.endswith(f",{error}") if error else "error=" not in challenge


# --- access tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("actions", ["pull,push", "push,pull", "push", "*,push"])
async def test_a_scope_in_any_order_is_granted_as_far_as_the_grant_goes(gate: ImageGate, actions: str) -> None:
    token = await access(gate, f"repository:team/app:{actions}", account="ci", client_id="docker", offline_token="true")
    assert (await gate.ask("POST", "/v2/team/app/blobs/uploads/", token=token)).status == 202


async def test_a_scope_is_cut_down_to_the_grants(gate: ImageGate) -> None:
    reader = await gate.grant("read", "pkg:oci/team/*")
    both = "repository:team/app:pull,push repository:other/app:pull registry:catalog:* nonsense"
    asked = f"service=images&scope={quote(both)}"
    answer = await gate.ask("GET", f"/-/token?{asked}", token="", Authorization=basic(reader))
    assert answer.json["scope"] == "repository:team/app:pull"
    token = answer.json["token"]
    assert (await gate.ask("GET", "/v2/team/app/manifests/1", token=token)).status == 404
    pushed = await gate.ask("POST", "/v2/team/app/blobs/uploads/", token=token)
    assert (pushed.status, pushed.code) == (403, "DENIED credential-scope")  # no other token of this grant would do


async def test_a_star_asks_for_all_that_the_grant_has(gate: ImageGate) -> None:
    for actions, scope in (("read", "pull"), ("publish", "pull,push"), ("mutate", "delete")):
        shown = basic(await gate.grant(actions))
        asked = f"service=images&scope={quote('repository:team/app:*')}"
        answer = await gate.ask("GET", f"/-/token?{asked}", token="", Authorization=shown)
        assert answer.json["scope"] == f"repository:team/app:{scope}"


async def test_a_token_to_pull_is_asked_for_the_scope_to_push(gate: ImageGate) -> None:
    token = await access(gate, "repository:team/app:pull")
    pushed = await gate.ask("POST", "/v2/team/app/blobs/uploads/", token=token)
    assert pushed.status == 401
    asked = 'scope="repository:team/app:pull,push",error="insufficient_scope"'
    assert asked in pushed.headers["WWW-Authenticate"]


async def test_a_token_for_another_repository_is_asked_for_the_right_scope(gate: ImageGate) -> None:
    token = await access(gate, "repository:team/other:pull,push")
    answer = await gate.ask("GET", "/v2/team/app/manifests/1.0", token=token)
    assert answer.status == 401
    assert 'scope="repository:team/app:pull",error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


async def test_a_grant_that_does_not_cover_the_repository_is_told_so_and_not_to_log_in(gate: ImageGate) -> None:
    other = await gate.grant("publish,read", "pkg:oci/other/*")
    for shown in (f"Bearer {other}", basic(other)):
        answer = await gate.ask("POST", "/v2/team/app/blobs/uploads/", token="", Authorization=shown)
        assert (answer.status, answer.code) == (403, "DENIED credential-scope")
        assert "WWW-Authenticate" not in answer.headers


async def test_the_oauth_form_is_the_same(gate: ImageGate) -> None:
    for how in (
        f"grant_type=password&username=ci&password={gate.token}",
        f"grant_type=refresh_token&refresh_token={gate.token}",
    ):
        form = f"{how}&service=images&client_id=containerd&scope=repository%3Ateam%2Fapp%3Apush%2Cpull"
        answer = await gate.ask("POST", "/-/token", form.encode(), token="")
        assert answer.status == 200
        token = answer.json["access_token"]
        assert (await gate.ask("POST", "/v2/team/app/blobs/uploads/", token=token)).status == 202


async def test_an_access_token_ends_after_minutes_and_with_its_grant(gate: ImageGate) -> None:
    token = await access(gate, "repository:team/app:pull")
    gate.clock.ahead = timedelta(seconds=299)
    assert (await gate.ask("GET", "/v2/team/app/manifests/1.0", token=token)).status == 404
    gate.clock.ahead = timedelta(seconds=301)
    late = await gate.ask("GET", "/v2/team/app/manifests/1.0", token=token)
    assert (late.status, late.code) == (401, "UNAUTHORIZED credential-expired")
    assert 'error="invalid_token"' in late.headers["WWW-Authenticate"]


async def test_revoking_the_grant_ends_its_access_tokens_at_once(gate: ImageGate) -> None:
    token = await access(gate, "repository:team/app:pull")
    assert await gate.store.revoke_grant(gate.token.split("_")[1], gate.clock.now())
    assert (await gate.ask("GET", "/v2/team/app/manifests/1.0", token=token)).code == "UNAUTHORIZED credential-invalid"


async def test_an_access_token_of_another_registry_is_none(gate: ImageGate, public: ImageGate) -> None:
    expires = gate.clock.now() + timedelta(minutes=1)
    for one, holder in ((gate, gate.token.split("_")[1]), (public, None)):
        scopes = (Scope("team/app", frozenset({"pull"})),)
        for registry, status in (("other", 401), ("images", 404)):
            token = mint_access(Access(holder, registry, scopes, expires), KEY)
            assert (await one.ask("GET", "/v2/team/app/manifests/1.0", token=token)).status == status


async def test_an_access_token_does_not_outlive_its_grant(gate: ImageGate) -> None:
    short = await gate.grant(expires=gate.clock.now() + timedelta(seconds=100))
    asked = "service=images&scope=repository:team/app:pull"
    answer = await gate.ask("GET", f"/-/token?{asked}", token="", Authorization=basic(short))
    assert answer.json["expires_in"] <= 100


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404), ("service=other", 404), ("service=images&service=images", 400), ("service=images&scope=%FF", 400),
        ("service=images&" + "&".join(f"scope=repository:a{n}:pull" for n in range(17)), 400),
        ("service=images&" + "&".join("x=1" for _ in range(64)), 400),
    ],
)  # fmt: skip
async def test_each_near_miss_at_the_token_endpoint_is_refused(gate: ImageGate, query: str, status: int) -> None:
    answer = await gate.ask("GET", f"/-/token?{query}", token="", Authorization=basic(gate.token))
    assert answer.status == status
    assert list(answer.json) == ["errors"]


@pytest.mark.parametrize(
    ("form", "status"),
    [
        (b"service=images", 400), (b"grant_type=client_credentials&service=images", 400),
        (b"grant_type=password&service=images&password=x&password=y", 400),
        (b"grant_type=password&service=images&password=hunter2", 401),
        (b"grant_type=password&service=images&password=", 401), (b"\xff", 400), (b"a=" + bytes(65 * 1024), 400),
    ],
)  # fmt: skip
async def test_each_near_miss_of_the_form_is_refused(gate: ImageGate, form: bytes, status: int) -> None:
    assert (await gate.ask("POST", "/-/token", form, token="")).status == status


@pytest.mark.parametrize("shown", [None, "Basic Og==", basic("hunter2"), "Bearer pvg_nosuch"])
async def test_a_wrong_credential_gets_no_access_token(gate: ImageGate, shown: str | None) -> None:
    answer = await gate.ask("GET", "/-/token?service=images", token="", **({"Authorization": shown} if shown else {}))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="provgate"'


# --- anybody, where anybody may read ------------------------------------------------------------------------------


async def test_where_anybody_may_read_anybody_gets_a_token_to_pull_and_no_more(public: ImageGate) -> None:
    digest = await public.image("team/public", "1.0", b"layer")
    token = await access(public, "repository:team/public:pull,push", token="")
    assert (await public.ask("GET", f"/v2/team/public/manifests/{digest}", token=token)).status == 200
    assert (await public.ask("GET", "/v2/team/public/manifests/nosuch", token=token)).status == 404
    pushed = await public.ask("POST", "/v2/team/public/blobs/uploads/", token=token)
    assert pushed.status == 401
    assert 'error="insufficient_scope"' in pushed.headers["WWW-Authenticate"]


async def test_where_anybody_may_read_what_is_there_needs_no_token_and_what_is_not_is_a_challenge(
    public: ImageGate,
) -> None:
    await public.image("team/public2", "1.0", b"layer")
    assert (await public.ask("GET", "/v2/team/public2/manifests/1.0", token="")).status == 200
    assert (await public.ask("GET", "/v2/team/public2/manifests/2.0", token="")).status == 401
    assert (
        await public.ask("GET", "/v2/team/public2/manifests/2.0", token="", Authorization="Basic Og==")
    ).status == 404


async def test_where_only_grants_may_read_an_anonymous_token_is_not_given(gate: ImageGate) -> None:
    assert (await gate.ask("GET", "/-/token?service=images&scope=repository:team/app:pull", token="")).status == 401


async def test_two_authorization_headers_are_a_challenge(gate: ImageGate) -> None:
    shown = f"Authorization: {basic(gate.token)}\r\n"
    for path in ("/v2/", "/-/token?service=images"):
        for times, status in ((1, 200), (2, 401)):
            head = f"GET {path} HTTP/1.1\r\nHost: x\r\n{shown * times}\r\n"
            assert (await exchange(gate.base, head.encode()))[0] == status
