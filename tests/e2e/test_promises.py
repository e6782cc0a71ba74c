"""The promises of docs/detection.md, kept on images calibration never saw. Minutes of work: `make test-slow`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    work = tmp_path_factory.mktemp("promises")
    command: list[str | Path] = [
        sys.executable,
        ROOT / "benchmarks" / "detection.py",
        "--data",
        shared_data,
        "--work",
        work,
    ]
    subprocess.run(command, check=True, cwd=ROOT)
    (file,) = work.glob("detection-*.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@pytest.mark.parametrize("target", ["0.05", "0.01"])
def test_the_realised_false_positive_rate_fits_the_target(results: dict[str, Any], target: str) -> None:
    overall = results["false_positives"][target]["overall"]
    assert overall["low"] <= float(target) <= overall["high"]


@pytest.mark.parametrize("target", ["0.05", "0.01"])
def test_no_class_has_three_times_the_false_positives_it_was_promised(results: dict[str, Any], target: str) -> None:
    by_class = results["false_positives"][target]["by_class"]
    assert max(row["rate"] for row in by_class.values()) <= 3 * float(target)


def test_attacks_are_told_from_benign_images(results: dict[str, Any]) -> None:
    found = {name: row["auroc"] for name, row in results["attacks"].items()}
    assert len(found) == 5
    assert found["PGD-Linf-8/255"] >= 0.95
    assert sum(found.values()) / len(found) >= 0.80


def test_the_profile_beats_a_single_barrier(results: dict[str, Any]) -> None:
    for name, row in results["attacks"].items():
        assert row["auroc"] > max(row["auroc_barrier_height"], row["auroc_barrier_gap"]), name


def test_the_cost_is_what_was_agreed(results: dict[str, Any]) -> None:
    assert results["forwards_per_image"] <= 33
