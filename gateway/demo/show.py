"""How the demonstration looks: what each client printed, a progress line, a final table; as text, JSON or SVG."""

from __future__ import annotations

import io
import json
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gateway.demo.acts import Played, Step
from gateway.demo.run import Install, Publish, Stage, as_expected
from gateway.demo.scenarios import SCENARIOS
from gateway.model.decision import Outcome
from gateway.reasons import Code

WIDTH: Final = 100
_INDENT: Final = 6
_EXAMPLES: Final = ("good", "repository", "workflow")  # one accepted, one refused to uv, one refused to twine


def console(*, quiet: bool = False) -> Console:
    """Return the terminal, or one of 100 columns where the output goes to a file; `quiet` writes to nowhere."""
    if quiet:
        return Console(file=io.StringIO(), width=WIDTH)
    out = Console(highlight=False, soft_wrap=False)
    return out if out.is_terminal else Console(highlight=False, width=WIDTH)


@contextmanager
def progress(out: Console) -> Iterator[Progress]:
    """Keep a line at the bottom that says how far the demo is."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", style="bold"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=out, transient=True) as line:
        yield line


def opening(stage: Stage) -> RenderableType:
    """Say what is running, and that none of it proves anything."""
    facts = Table.grid(padding=(0, 2))
    facts.add_row("registry", f"{stage.world.upstream.url}  (pypiserver)")
    facts.add_row("gateway", f"{stage.world.upload_url}  (provgate serve)")
    facts.add_row("Sigstore", Text("a sandbox made for this demo: its certificates prove nothing", style="yellow"))
    return Group(Rule("provgate demo", style="cyan"), Padding(facts, (0, 0, 0, 1)))


def publish(number: int, done: Publish) -> RenderableType:
    """Show one publish: what was tried, what the client printed, what became of it."""
    head = Text.assemble(
        (f"{number:>2}/{len(SCENARIOS)} ", "dim"), (done.scenario.title, "bold"), (f"  ({done.run.client})", "cyan")
    )
    return Group("", head, _printed(done.run.output), _verdict(done))


def install(done: Install) -> RenderableType:
    """Show one installation through the gateway."""
    head = Text.assemble(("      install it through the gateway", "bold"), (f"  ({done.run.client})", "cyan"))
    verdict = Text.assemble("   -> ", ("installed", "green")) if done.as_expected else _wrong(done.problems)
    return Group("", head, _printed(done.run.output), verdict)


def act(played: Played) -> RenderableType:
    """Show an act's beginning, or the last of its steps; of one that is not played, what it needs."""
    if played.missing:
        absent = f"not shown: {', '.join(played.missing)} not found here (make tools)"
        return Group("", Text.assemble((played.act.title, "bold"), (f"  {absent}", "yellow")))
    if not played.steps:
        return Group("", Rule(played.act.title, style="cyan"))
    step = played.steps[-1]
    head = Text.assemble("      ", (step.title, "bold"), (f"  ({step.run.client})", "cyan"))
    verdict = Text.assemble("   -> ", (step.became, "green")) if step.as_expected else _wrong(step.problems)
    return Group("", head, _printed(step.run.output), verdict)


def table(publishes: Sequence[Publish], installs: Sequence[Install], acts: Sequence[Played]) -> RenderableType:
    """Show all in one table of at most 100 columns, and count them."""
    grid = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for title, style in (
        ("", "dim"),
        ("release", ""),
        ("client", "cyan"),
        ("became of it", ""),
        ("the registry holds", ""),
    ):
        grid.add_column(title, style=style, no_wrap=True)
    grid.add_column("", no_wrap=True)
    for number, done in enumerate(publishes, 1):
        grid.add_row(
            str(number),
            done.scenario.title,
            done.run.client,
            _outcome(done),
            done.holds,
            Text("ok", style="green") if done.as_expected else Text("WRONG", style="bold red"),
        )
    steps = [step for played in acts for step in played.steps]
    every: list[Publish | Install | Step] = [*publishes, *installs, *steps]
    right = sum(done.as_expected for done in every)
    kinds = f"{len(publishes)} publishes, {len(installs)} installs" + (f", {len(steps)} other steps" if steps else "")
    count = Text(f"{right} of {len(every)} went as they should: {kinds}")
    count.stylize("bold green" if right == len(every) else "bold red")
    return Group("", Rule(style="cyan"), grid, "", count)


def closing(stage: Stage, publishes: Sequence[Publish]) -> RenderableType:
    """Print what to try while everything keeps running."""
    refused = next((done.link for done in publishes if done.link), "(none)")
    lines = [
        f"index     {stage.world.index_url}",
        f"a refusal {refused}",
        f"reasons   {stage.world.address}/-/reasons/",
        f"install   pip install --index-url {stage.world.index_url} acme-good",
        f"publish   UV_PUBLISH_TOKEN={stage.token} \\",
        f"          uv publish --publish-url {stage.world.upload_url} FILE",
        f"settings  {stage.world.settings}",
        "",
        "Running until Ctrl-C.",
    ]
    return Group("", *(Text(line, overflow="fold") for line in lines))


def as_json(publishes: Sequence[Publish], installs: Sequence[Install], acts: Sequence[Played]) -> str:
    """Return everything as one JSON document."""
    return json.dumps(
        {
            "publishes": [
                {
                    "scenario": done.scenario.slug,
                    "title": done.scenario.title,
                    "file": done.file,
                    "client": done.run.client,
                    "status": done.run.status,
                    "output": done.run.output,
                    "expected": sorted(code.value for code in done.scenario.codes),
                    "codes": sorted(code.value for code in done.codes),
                    "link": done.link,
                    "registry_holds": done.holds,
                    "problems": list(done.problems),
                }
                for done in publishes
            ],
            "installs": [
                {"client": done.run.client, "status": done.run.status, "problems": list(done.problems)}
                for done in installs
            ],
            "acts": [
                {
                    "act": played.act.slug,
                    "missing": list(played.missing),
                    "steps": [
                        {
                            "title": step.title,
                            "client": step.run.client,
                            "status": step.run.status,
                            "output": step.run.output,
                            "became": step.became,
                            "problems": list(step.problems),
                        }
                        for step in played.steps
                    ],
                }
                for played in acts
            ],
            "as_expected": as_expected(publishes, installs, acts),
        },
        indent=2,
    )


def write_svg(
    path: Path, stage: Stage, publishes: Sequence[Publish], installs: Sequence[Install], acts: Sequence[Played]
) -> None:
    """Write a picture of the output, with three of the publishes; it needs no font from elsewhere."""
    recorder = Console(file=io.StringIO(), width=WIDTH, record=True, force_terminal=True, highlight=False)
    recorder.print(opening(stage))
    for number, done in enumerate(publishes, 1):
        if done.scenario.slug in _EXAMPLES:
            recorder.print(publish(number, done))
    recorder.print(table(publishes, installs, acts))
    svg = recorder.export_svg(title="make demo", code_format=_SVG, unique_id="demo")
    path.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", encoding="utf-8")


def _printed(output: str) -> RenderableType:
    lines = [piece for line in output.strip().splitlines() for piece in _wrapped(line.rstrip())]
    text = Text("\n".join(lines), style="dim")
    text.highlight_words([f"{code.value}:" for code in Code], "bold not dim red")
    text.highlight_regex(r"http://\S+/-/(d|reasons)/\S+", "not dim underline")
    return Padding(text, (0, 0, 0, _INDENT))


def _wrapped(line: str) -> list[str]:
    """Break what a client printed where it is too long for the page, under its own indent, and no digest in two."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.wrap(
        line, WIDTH - _INDENT, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def _verdict(done: Publish) -> Text:
    if not done.as_expected:
        return _wrong(done.problems)
    word = "published" if done.scenario.outcome is Outcome.ACCEPT else "refused, as it should be"
    return Text.assemble("   -> ", (word, "green"), f"; the registry holds {done.holds}")


def _wrong(problems: Sequence[str]) -> Text:
    return Text(f"   -> NOT AS EXPECTED: {'; '.join(problems)}", style="bold red")


def _outcome(done: Publish) -> Text:
    if done.codes:
        return Text(", ".join(sorted(code.value for code in done.codes)), style="red")
    return Text("published", style="green") if done.run.succeeded else Text("failed", style="bold red")


# rich's own picture names fonts by address; this one uses what the reader has.
_SVG: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
        font-size: {char_height}px;
        line-height: {line_height}px;
        font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
"""
