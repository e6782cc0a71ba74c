"""`--tune`: what is given on the command line is kept, and what was decided is told."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from detector import read_bundle

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus

QUICK = ("--scorer", "one-class", "--threads", "1", "--no-taps", "--prototype-steps", "5")
GIVEN = ("--points", "1", "--prototypes", "1", "--runner-ups", "0", "--prototype-smoothness", "0.5")
"""So few that all is quick; that they are kept is half of what these tests are about."""


def _calibrated(isthmus: Isthmus, digits: EmbeddedDefault, out: Path, *flags: str) -> Result:
    files = ("--classifier", digits.classifier_file, "--gradients", digits.gradients_file)
    return isthmus("calibrate", *files, "--images", digits.images_file, "--out", out, *QUICK, *GIVEN, *flags)


def test_what_was_given_is_kept_and_all_decisions_are_told(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    done = _calibrated(isthmus, digits, tmp_path / "bundle", "--tune")
    assert done.exit_code == 0, done.output
    plan = read_bundle(tmp_path / "bundle").manifest.plan
    assert [target.name for target in plan.targets] == ["prototype[0]", "blur"]
    assert plan.alphas == (0.25,)
    told = re.findall(r"^tuned +([a-z ]+): .*$", done.stdout, re.MULTILINE)
    assert told[:4] == ["prototypes", "alphas", "smoothness of prototypes", "thresholds per class"]
    assert done.stdout.count("given by the user, so not chosen here") == 3
    inspected = isthmus("inspect", tmp_path / "bundle").stdout
    assert re.search(r"^ *tuned +alphas: 1 point", inspected, re.MULTILINE)
    manifest = json.loads(isthmus("inspect", tmp_path / "bundle", "--json").stdout)
    assert manifest["provenance"]["options"]["prototypes"]["smoothness"] == 0.5
    assert len(manifest["provenance"]["tuning"]["decisions"]) == len(told)


@pytest.mark.parametrize("command", ["calibrate", "evaluate"])
def test_a_budget_without_tuning_is_refused(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path, command: str
) -> None:
    files = ("--classifier", digits.classifier_file, "--images", digits.images_file, "--out", tmp_path / "out")
    told = isthmus(command, *files, "--tune-budget", "9")
    assert told.exit_code == 2
    assert "--tune-budget needs --tune" in told.stderr
    assert not (tmp_path / "out").exists()


def test_a_budget_too_small_is_told_with_what_would_do(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    told = _calibrated(isthmus, digits, tmp_path / "bundle", "--tune", "--tune-budget", "3")
    assert told.exit_code == 1
    assert "--tune-budget 3: the cheapest guard that may be chosen costs 5 forwards per image" in told.stderr
    assert not (tmp_path / "bundle").exists()


def test_a_budget_of_none_is_told(isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path) -> None:
    told = _calibrated(isthmus, digits, tmp_path / "bundle", "--tune", "--tune-budget", "0")
    assert told.exit_code == 1
    assert "budget must be at least 1 forward per image, not 0" in told.stderr
