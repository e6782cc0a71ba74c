"""Locust's own parser is not asked: importing it would patch this process."""

from __future__ import annotations

import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest

from loadtest.options import Traffic, add_options, shape_of, thresholds_of
from loadtest.shapes import ShapeName
from tests.loadtest.support import python

PAGE = (Path(__file__).parents[2] / "docs" / "loadtest.md").read_text()


def parser() -> ArgumentParser:
    found = ArgumentParser()
    found.add_argument("--users", type=int, dest="num_users")
    found.add_argument("--run-time", type=int)
    own = ArgumentParser(add_help=False)
    add_options(own)
    return ArgumentParser(parents=[found, own], add_help=False)


def options() -> dict[str, Any]:
    own = ArgumentParser(add_help=False)
    add_options(own)
    return {action.option_strings[0]: action for action in own._actions}


def test_every_option_is_documented_and_no_other() -> None:
    section = PAGE.partition("\n## Options\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(--[a-z0-9-]+)` \| (.*?) \|", section, re.MULTILINE))
    assert rows.keys() == options().keys()
    for name, action in options().items():
        if action.default is not None and action.default is not False:
            assert rows[name] == f"`{action.default}`", name


def test_what_is_sent_to_workers_is_plain() -> None:
    """Locust packs the options of the master for its workers."""
    given = parser().parse_args(["--bundle", "b", "--clean", "c", "--ca", "f", "--shape", "soak"])
    assert all(type(value) in {str, int, float, bool, type(None)} for value in vars(given).values())


def test_options_become_what_is_asked() -> None:
    when = ("--users", "8", "--run-time", "120", "--shape", "spikes", "--spike-factor", "3", "--think-min", "2")
    given = parser().parse_args([*when, "--max-p99-ms", "250", "--max-refused-share", "0.1"])
    assert shape_of(given).users_at(ShapeName(given.shape), 20) == 24
    assert thresholds_of(given).max_p99 == 250
    assert thresholds_of(given).max_failure_share == 0
    assert Traffic.of(given).think == (2, 2)


@pytest.mark.parametrize(
    "wrong", [("--share", "1.5"), ("--rate", "-1"), ("--batch", "0"), ("--max-p99-ms", "nan"), ("--shape", "square")]
)
def test_values_out_of_range_are_refused(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(wrong)
    assert f"argument {wrong[0]}: invalid" in capsys.readouterr().err


def test_the_command_explains_every_option() -> None:
    done = python("-m", "loadtest", "options")
    assert done.returncode == 0
    assert all(f"  {name}" in done.stdout for name in options())
