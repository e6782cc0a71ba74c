from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.sizing import (
    Amount,
    Replica,
    StageCost,
    Traffic,
    UnitCosts,
    memory,
    peak_memory,
    size,
    spread_seconds,
    stage_costs,
    store_bytes,
)
from detector.attacks.threat_models import fgsm, pgd
from detector.calibration.options import CalibrationOptions
from detector.prototypes.options import SynthesisOptions

ROOT = Path(__file__).parents[1]
REPLICA = Replica(forwards_per_second=1000, forwards_per_image=20, overhead=0.0)  # 50 images/s, 20 ms each
AMOUNT = Amount(
    images=1000,
    classes=10,
    pixels=3 * 4 * 4,
    features=100,
    options=CalibrationOptions(
        prototypes=SynthesisOptions(per_class=2, steps=50, batch=8),
        attacks=(fgsm(8), pgd(8, steps=10)),
        attack_images=200,
    ),
)
UNITS = UnitCosts(forward=1.0, walk=20.0, corrupt=2.0, gradient=3.0, plain=1.5)


def test_replicas_are_as_many_as_the_peak_needs_at_the_utilisation() -> None:
    found = size(Traffic(images_per_second=100, peak=3, utilisation=0.5, objective=10, spare=2), REPLICA)
    assert found.replicas == 300 / 50 / 0.5 + 2
    assert found.utilisation == pytest.approx(0.5)
    assert found.bound_by == "utilisation"


def test_a_tight_objective_needs_more() -> None:
    traffic = Traffic(images_per_second=100, peak=3, utilisation=0.9, objective=0.06, spare=0)
    found = size(traffic, REPLICA)
    assert found.bound_by == "latency"
    assert found.p99 <= 0.06 < REPLICA.p99(300 / (found.replicas - 1))


def test_an_objective_below_the_service_time_is_refused() -> None:
    with pytest.raises(ValueError, match=r"takes an idle replica 20 ms, longer than the objective of 10 ms"):
        size(Traffic(images_per_second=1, objective=0.01), REPLICA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"images_per_second": 0},
        {"peak": 0.5},
        {"utilisation": 1.0},
        {"utilisation": 0},
        {"objective": 0},
        {"spare": -1},
    ],
)
def test_traffic_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        Traffic(**{"images_per_second": 1, **wrong})


@pytest.mark.parametrize("used", [0.5, 0.7, 0.9])
def test_the_p99_is_that_of_a_simulated_queue(used: float) -> None:
    rng = np.random.default_rng(0)
    gaps = rng.exponential(REPLICA.seconds_per_image / used, 400_000)
    wait, waits = 0.0, np.empty(len(gaps))
    for at, gap in enumerate(gaps):
        wait = max(0.0, wait + REPLICA.seconds_per_image - gap)
        waits[at] = wait
    simulated = REPLICA.seconds_per_image + np.quantile(waits, 0.99)
    assert REPLICA.p99(used / REPLICA.seconds_per_image) == pytest.approx(simulated, rel=0.15)


def test_a_full_replica_never_answers() -> None:
    assert REPLICA.p99(50) == math.inf
    assert REPLICA.p99(0) == REPLICA.seconds_per_image == 0.02


def test_stages_cost_their_units() -> None:
    costs = {cost.name: cost for cost in stage_costs(AMOUNT, UNITS, chunk=100, batch=128)}
    assert costs["classifying images"] == StageCost("classifying images", 10, 1000.0)
    assert costs["prototypes"] == StageCost("prototypes", 3, 20 * 50 * 3.0)
    assert costs["profiles of benign images"].seconds == 1000 * 20
    assert costs["profiles of corrupted images"] == StageCost("profiles of corrupted images", 8, 800 * 22.0)
    assert costs["attacks"] == StageCost("attacks", 4, 200 * 3.0 + 200 * 10 * 3.0)
    assert costs["profiles of attacked images"].seconds == 400 * 20


def test_shards_go_to_workers_in_whole_rounds() -> None:
    costs = [StageCost("a", 4, 40.0), StageCost("b", 1, 5.0)]
    assert spread_seconds(costs, 1, 0.5) == 45
    assert spread_seconds(costs, 2, 1.0) == 25
    assert spread_seconds(costs, 3, 1.0) == 25
    assert spread_seconds(costs, 100, 0.5) == 30


def test_memory_is_counted_array_by_array() -> None:
    parts = {part.name.split(",")[0]: part for part in memory(AMOUNT)}
    assert parts["images"].held == 48_000
    assert parts["logits"].held == 40_000
    assert parts["prototypes"].held == 4 * 20 * 48
    assert parts["profiles of benign images"].held == 400_000
    assert parts["profiles of corrupted images"].held == 4 * 800 * 100
    assert parts["the scorer's training rows"].peak == 4 * 1200 * 100
    most, when = peak_memory(memory(AMOUNT))
    assert when.startswith("profiles of corrupted images")
    assert most == 48_000 + 40_000 + 3840 + 400_000 + 3 * 320_000
    assert store_bytes(AMOUNT) == 3840 + 400_000 + 320_000 + 400_000


def test_none_are_corrupted_without_copies() -> None:
    amount = replace(AMOUNT, options=replace(AMOUNT.options, corrupted_copies=0))
    assert [cost.shards for cost in stage_costs(amount, UNITS) if "corrupted" in cost.name] == [0]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.capacity", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_script_says_how_many_replicas(digits_bundle: Path) -> None:
    done = _run("replicas", str(digits_bundle), "--images-per-second", "100", "--forwards-per-second", "2600")
    assert done.returncode == 0, done.stderr
    assert "2600 forwards/s (as given), 13 per image: 200.0 images/s" in done.stdout
    assert re.search(r"replicas: +4, of which 1 to spare; bound by utilisation", done.stdout)  # 300 / 200 / 0.7


def test_the_script_measures_and_multiplies(digits_bundle: Path) -> None:
    done = _run("calibration", str(digits_bundle), "--side", "224", "--workers", "4")
    assert done.returncode == 0, done.stderr
    assert re.search(r"4 workers: [\d.]+ hours", done.stdout)
    assert f"images are read into memory, {(16 << 30) // (224 * 224):,} of this" in " ".join(done.stdout.split())


def test_what_can_not_be_is_told_in_a_line(digits_bundle: Path) -> None:
    done = _run("replicas", str(digits_bundle), "--images-per-second", "1", "--forwards-per-second", "13")
    assert done.returncode == 1
    assert done.stderr.startswith("capacity: one image takes an idle replica 1005 ms")
