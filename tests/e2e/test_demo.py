"""`provgate demo` as a person runs it: every publish goes as it should, and nothing stays behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from gateway.cli.demo import ACTS
from gateway.demo.processes import Program
from gateway.demo.scenarios import SCENARIOS
from gateway.demo.world import environment, provgate
from tests.lab.tools import absent


def ports(text: str) -> list[int]:
    return [int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", text)]


def is_open(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    svg = tmp_path_factory.mktemp("demo") / "demo.svg"
    done = subprocess.run(
        [*provgate(), "demo", "--json", "--svg", str(svg)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done, svg


def test_every_publish_and_install_goes_as_it_should(
    shown: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    done, _ = shown
    assert done.stderr == ""
    result = json.loads(done.stdout)
    problems = {one["scenario"]: one["problems"] for one in result["publishes"] if one["problems"]}
    assert problems == {}
    assert [one["problems"] for one in result["installs"]] == [[], []]
    assert [one["scenario"] for one in result["publishes"]] == [scenario.slug for scenario in SCENARIOS]
    assert {one["client"] for one in result["publishes"]} == {"twine", "uv"}
    assert [step["problems"] for act in result["acts"] for step in act["steps"] if step["problems"]] == []
    assert done.returncode == 0


def test_each_further_act_is_played_or_says_what_it_needs(
    shown: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    for act, played in zip(ACTS, json.loads(shown[0].stdout)["acts"], strict=True):
        assert (played["act"], bool(played["steps"])) == (act.slug, not played["missing"])
        assert played["missing"] == list(act.missing())
        if played["missing"]:
            absent(f"the demo's {act.slug} needs {', '.join(played['missing'])}")


def test_each_refusal_has_a_link_short_enough_to_survive_the_terminal(
    shown: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    for one in json.loads(shown[0].stdout)["publishes"]:
        if one["expected"] and one["scenario"] != "token":
            assert one["link"] is not None
            assert len(one["link"]) <= 70
            assert one["link"] in one["output"]


def test_the_picture_needs_nothing_from_elsewhere(
    shown: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    text = shown[1].read_text(encoding="utf-8")
    assert "@font-face" not in text
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= set(re.findall(r"url\((#[^)]*)\)", text))
    assert set(re.findall(r'href="([^"]*)"', text)) == set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_was_left_running_ends_when_it_is_asked_to(number: signal.Signals, tmp_path: Path) -> None:
    with Program([*provgate(), "demo", "--keep"], tmp_path / "log", env=environment()) as demo:
        demo.wait_for_line("Running until Ctrl-C.", seconds=300)
        opening, _, _ = demo.log.read_text(encoding="utf-8").partition("Sigstore")  # a further act ends by itself
        running = set(ports(opening))
        assert len(running) == 2
        assert all(is_open(port) for port in running)
        os.kill(demo.pid, number)
        demo.wait_until_end(seconds=60)
    assert not any(is_open(port) for port in running)
