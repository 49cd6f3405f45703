"""The challenge of an OCI registry, and what a grant covers there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.model.case import Action
from gateway.model.upload import Registry
from gateway.proxy.images.asker import Asker, Challenge, Need, Wanted, grant_may
from gateway.proxy.mounts import MountedDepot
from gateway.publish.images.depot import Depot
from gateway.reasons import Code, Reason
from gateway.upstream import Upstream
from tests.lab.cases import grant

REASON = Reason(Code.CREDENTIAL_MISSING, "Authorization")
MOUNTED = MountedDepot(
    Depot(
        Registry("images", "oci"),
        Upstream("images", "http://127.0.0.1:1", None),
        "https://gate.acme.example",
        frozenset(),
    ),
    "https://oci.acme.example",
)


def test_a_challenge_sends_clients_to_the_host_they_know_already() -> None:
    challenge = Challenge(REASON, "insufficient_scope", Wanted("team/app", Need.PUSH).scope)
    where = 'Bearer realm="https://oci.acme.example/-/token",service="images"'
    why = 'scope="repository:team/app:pull,push",error="insufficient_scope"'
    assert challenge.header(MOUNTED) == ("WWW-Authenticate", f"{where},{why}")
    assert Challenge(REASON).header(MOUNTED) == ("WWW-Authenticate", where)


@pytest.mark.parametrize(
    ("actions", "may"),
    [
        ({Action.READ}, {Need.PULL}),
        ({Action.PUBLISH}, {Need.PULL, Need.PUSH}),
        ({Action.ATTACH}, {Need.PULL, Need.PUSH}),
        ({Action.MUTATE}, {Need.DELETE}),
        (set(), set()),
    ],
)
def test_each_action_covers_what_it_must_and_no_more(actions: set[Action], may: set[Need]) -> None:
    given = replace(grant(), packages=("pkg:oci/team/*",), actions=frozenset(actions))
    assert {need for need in Need if grant_may(given, need, "team/app")} == may
    for other in ("team", "team/app/x", "other/app"):
        assert not any(grant_may(given, need, other) for need in Need)


def test_nobody_may_nothing_by_a_grant() -> None:
    assert not any(Asker(None).may(need, "team/app") for need in Need)
