"""Whatever a registry says of where an upload goes on, it leads below that repository's uploads or nowhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.errors import UpstreamError
from gateway.model.upload import Registry
from gateway.publish.images.blobs import _session_of
from gateway.publish.images.depot import Depot
from gateway.upstream import Answer, Upstream

PREFIX = "/v2/team/app/blobs/uploads/"
PIECES = st.sampled_from([
    "http://127.0.0.1:5000", "http://127.0.0.1:5000@evil", "https://127.0.0.1:5000", "//evil", "/base", PREFIX, "/",
    "..", "%2e%2e", "%2F", "\\", "?", "#", "&", "_state=", "a", ";", "@", " ", "\r\n", "\x00", "é", "[::1", "http:",
])  # fmt: skip
LOCATIONS = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=8).map("".join))


@pytest.mark.parametrize("base", ["http://127.0.0.1:5000", "http://127.0.0.1:5000/base"])
@given(location=LOCATIONS)
@example(location=f"http://127.0.0.1:5000{PREFIX}abc?_state=x")
@example(location=f"/base{PREFIX}abc?_state=x")
@example(location=f"{PREFIX}abc")
@example(location=f"{PREFIX}..")
def test_a_location_leads_below_the_uploads_or_nowhere(base: str, location: str) -> None:
    depot = Depot(Registry("images", "oci"), Upstream("images", base, None), "http://gate", frozenset())
    try:
        session = _session_of(depot, "team/app", Answer(202, "", {"Location": location}, b"", base))
    except UpstreamError:
        return
    path = session.path()
    assert path.isascii()
    assert path.isprintable()
    assert path.startswith(PREFIX)
    parts = urlsplit(path)
    assert "/" not in parts.path.removeprefix(PREFIX)
    assert parts.path.removeprefix(PREFIX) not in {"", ".", ".."}
    assert "%" not in parts.path
    assert parts.fragment == ""
