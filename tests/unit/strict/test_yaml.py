"""Operators' YAML: every problem in one error, each at its place with its mend."""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Literal

import pytest
from pydantic import BaseModel, Field, field_validator

from gateway import limits
from gateway.errors import ConfigurationError
from gateway.strict.yaml import load


class Mode(Enum):
    ENFORCE = "enforce"
    OBSERVE = "observe"


class Signer(BaseModel):
    issuer: str
    trigger: str | tuple[str, ...] = ()


class Rule(BaseModel):
    name: str
    packages: tuple[str, ...] = Field(min_length=1)
    mode: Mode = Mode.ENFORCE
    hold: Literal["never", "30m"] = "never"
    signers: dict[str, Signer] = {}
    not_after: date | None = None
    level: int = 0
    open: bool = False
    ratio: float = 1.0

    @field_validator("name")
    @classmethod
    def starts_with_a_letter(cls, name: str) -> str:
        if not name[:1].isalpha():
            raise ValueError("a name starts with a letter; rename it")
        return name


class Policy(BaseModel):
    rules: list[Rule]


GOOD = """\
# rules
rules:
  - name: "acme"
    packages: ["pkg:pypi/acme-*"]   # one
    mode: observe
    not_after: 2027-06-30
    level: 3
    open: true
    signers:
      github:
        issuer: https://issuer.example
        trigger: [push, release]
"""


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        load(Policy, text, "p.yaml")
    return list(refused.value.problems)


def spoiled(old: str, new: str) -> list[str]:
    assert GOOD.count(old) == 1
    return problems(GOOD.replace(old, new))


def test_a_good_file_is_its_values_and_their_places() -> None:
    loaded = load(Policy, GOOD, "p.yaml")
    assert loaded.value == Policy(
        rules=[
            Rule(
                name="acme",
                packages=("pkg:pypi/acme-*",),
                mode=Mode.OBSERVE,
                not_after=date(2027, 6, 30),
                level=3,
                open=True,
                signers={"github": Signer(issuer="https://issuer.example", trigger=("push", "release"))},
            )
        ]
    )
    assert loaded.position(("rules", 0, "signers", "github", "trigger", 1)) == (12, 25)
    assert loaded.position(("rules", 0, "signers")) == (9, 5)
    assert loaded.position(("rules", 0)) == (3, 5)
    assert loaded.position(("rules", 0, "ratio")) == (3, 5)
    assert loaded.position(("nowhere",)) == (2, 1)
    assert loaded.problem(("rules", 0, "level"), "too high; lower it") == "p.yaml:7:12: too high; lower it"


def test_every_problem_is_told_at_once() -> None:
    text = """\
rules:
  - nam: acme
    packages: pkg:pypi/acme
    mode: obsrve
    level: "3"
  - name: 7
    packages: []
"""
    assert problems(text) == [
        "p.yaml:2:5: rules[0]: the key 'name' is missing; add it",
        "p.yaml:2:5: unknown key 'nam'; did you mean 'name'?",
        "p.yaml:3:15: rules[0].packages: expected a list, got the text 'pkg:pypi/acme'; write [pkg:pypi/acme]",
        "p.yaml:4:11: rules[0].mode: expected 'enforce' or 'observe', got the text 'obsrve'; write one of them",
        "p.yaml:5:12: rules[0].level: expected a whole number, got the text '3'; write it without quotes",
        "p.yaml:6:11: rules[1].name: expected text, got the number 7; put it in quotes",
        "p.yaml:7:15: rules[1].packages: tuple should have at least 1 item after validation, not 0",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"acme"', "_", "3:11: rules[0].name: a name starts with a letter; rename it"),
        ('"acme"', "", "3:5: rules[0].name: expected text, got nothing; write a value or remove the key"),
        ('"acme"', "true", "3:11: rules[0].name: expected text, got true; put it in quotes"),
        ('"acme"', "1.10", "3:11: rules[0].name: expected text, got the number 1.1; put it in quotes"),
        ("2027-06-30", "soon", "6:16: rules[0].not_after: expected a date like 2027-06-30, got the text 'soon'"),
        (
            "2027-06-30",
            "2027-02-30",
            "6:16: rules[0].not_after: expected a date like 2027-06-30, got the text '2027-02-30'",
        ),
        ("level: 3", "level: 3.5", "7:12: rules[0].level: expected a whole number, got the number 3.5"),
        (
            "open: true",
            "open: 'true'",
            "8:11: rules[0].open: expected true or false, got the text 'true'; write it without quotes",
        ),
        (
            "[push, release]",
            "5",
            "12:18: rules[0].signers.github.trigger: expected text or a list, got the number 5; put it in quotes",
        ),
        (
            "[push, release]",
            "[push, 5]",
            "12:25: rules[0].signers.github.trigger[1]: expected text, got the number 5; put it in quotes",
        ),
        ("issuer:", "isuer: x\n        issuer:", "11:9: unknown key 'isuer'; did you mean 'issuer'?"),
        ("issuer:", "zzz: x\n        issuer:", "11:9: unknown key 'zzz'; known here: issuer, trigger"),
        ("rules:", "extra: 1\nrules:", "2:1: unknown key 'extra'; known here: rules"),
    ],
)
def test_one_spoiled_value_is_told_with_its_mend(old: str, new: str, problem: str) -> None:
    assert spoiled(old, new) == [f"p.yaml:{problem}"]


@pytest.mark.parametrize(
    ("new", "what"),
    [
        ("no", "no is a truth value to some readers and text to others; write true or false, or quote it"),
        ("On", "On is a truth value to some readers and text to others; write true or false, or quote it"),
        ("0755", "0755 is a number that readers read differently; quote it, or write it as plain decimal"),
        ("12:30", "12:30 is a number that readers read differently; quote it, or write it as plain decimal"),
        ("1_000", "1_000 is a number that readers read differently; quote it, or write it as plain decimal"),
        ("0x1F", "0x1F is a number that readers read differently; quote it, or write it as plain decimal"),
        ("1e3", "1e3 is a number that readers read differently; quote it, or write it as plain decimal"),
        (".nan", ".nan is a number that readers read differently; quote it, or write it as plain decimal"),
        ("&a acme", "anchor &a; write the value out where it is needed"),
        ("*a", "alias *a; write the value out"),
        ("!!str acme", "tag tag:yaml.org,2002:str; remove it"),
        ("! acme", "tag !; remove it"),
        ("!!python/object:os.system x", "tag tag:yaml.org,2002:python/object:os.system; remove it"),
    ],
)
def test_what_readers_of_yaml_differ_on_is_refused(new: str, what: str) -> None:
    assert spoiled('"acme"', new) == [f"p.yaml:3:11: {what}"]


@pytest.mark.parametrize("text", ["no", "On", "0755", "12:30", "1e3", "~", "true", "2027-06-30"])
def test_what_is_quoted_is_text(text: str) -> None:
    loaded = load(Policy, GOOD.replace("[push, release]", f"'{text}'"), "p.yaml")
    assert loaded.value.rules[0].signers["github"].trigger == text


def test_a_key_is_text_however_it_looks() -> None:
    loaded = load(Policy, GOOD.replace("github:", "on:"), "p.yaml")
    assert list(loaded.value.rules[0].signers) == ["on"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rules: []\nrules: []\n", "2:1: key 'rules' is given twice (first in line 1); keep one"),
        ("rules: []\n---\nrules: []\n", "2:1: a second document; put it into a file of its own"),
        ("%YAML 1.1\n---\nrules: []\n", "1:1: a % directive; remove it"),
        ("%TAG ! tag:x,2000:\n---\nrules: []\n", "1:1: a % directive; remove it"),
        ("<<: {rules: []}\n", "1:1: merge key <<; write the keys out"),
        ("? [a]\n: b\n", "1:3: a mapping's key that is not plain text; write text"),
        ("rules: [}", "1:9: not YAML: while parsing a flow node did not find expected node content; check {}"),
        ("a\x00b", "1:1: holds a character that YAML does not allow; keep to printable text"),
        ("\ud800", "1:1: holds a character that YAML does not allow; keep to printable text"),
        ("", "1:1: expected a mapping, got nothing; write a value or remove the key"),
        ("- rules", "1:1: expected a mapping, got a list"),
        ("rules: " + "[" * 40 + "]" * 40, "1:39: more than 32 levels of nesting; flatten it"),
        ("#" + "x" * limits.YAML_BYTES, f"1:1: larger than {limits.YAML_BYTES} bytes; split the file"),
    ],
)
def test_what_is_no_file_of_ours_is_refused(text: str, problem: str) -> None:
    assert problems(text) == [f"p.yaml:{problem.format('the indentation and the quotes here')}"]


def test_an_alias_bomb_stops_at_its_first_anchor() -> None:
    bomb = "a: &a [x]\n" + "".join(f"k{n}: &k{n} [*a, *a]\n" for n in range(5))
    told = problems(bomb)
    assert told[0] == "p.yaml:1:4: anchor &a; write the value out where it is needed"
    assert len(told) == 16
