"""Shards on a Ray of two workers: all that needs one is in this file, which starts it once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.attacks.surrogate import SurrogateOptions, train_surrogate
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import fgsm, pgd, spatial, transfer
from detector.bundle import read_bundle
from detector.calibration.attacking import attack_job, keep_successes
from detector.calibration.options import ScorerChoice
from detector.calibration.pipeline import calibrate
from detector.calibration.spreading import model_recipe
from detector.errors import ClassifierError, ScaleOutError
from detector.evaluation.benchmark import evaluate
from detector.evaluation.options import EvaluationOptions
from detector.shards.base import Job, LocalRunner, Models, shards
from detector.shards.cluster import local_cluster
from detector.shards.jobs import run_jobs
from detector.shards.ray_runner import RayRunner
from detector.shards.recipe import NoModels
from detector.versions import tool_versions
from tests.support.bundles import calibration_images, digits_torch
from tests.support.calibrating import Recorder, digits_inputs
from tests.support.sharding import OPTIONS, Deaths, processes, refusing, squares

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detector.calibration.inputs import CalibrationInputs
    from detector.embedded import EmbeddedDefault

ROOT = Path(__file__).parents[2]
WORKERS = 2


@pytest.fixture(scope="module")
def inputs(digits: EmbeddedDefault) -> CalibrationInputs:
    return digits_inputs(digits)


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        # Workers import this checkout and these tests.
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, ROOT / "protos"))))
        with local_cluster(WORKERS) as connected:
            yield connected


@pytest.fixture(scope="module")
def runner(ray: Any, inputs: CalibrationInputs) -> RayRunner:
    return RayRunner(ray, model_recipe(inputs, threads=1))


def _job(compute: Any, shared: Any, count: int) -> Job:
    return Job("Squaring", compute, shared, lambda shard: shard.number, shards(count, 1))


def test_a_local_ray_is_not_to_be_reached_from_elsewhere(ray: Any) -> None:
    assert ray.get_runtime_context().gcs_address.startswith("127.0.0.1:")
    assert {node["NodeManagerAddress"] for node in ray.nodes()} == {"127.0.0.1"}
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_calibration_gives_the_same_bundle(runner: RayRunner, inputs: CalibrationInputs, tmp_path: Path) -> None:
    here, there = Recorder(), Recorder()
    local = calibrate(inputs, OPTIONS, tmp_path / "local", progress=here)
    spread = calibrate(inputs, OPTIONS, tmp_path / "spread", progress=there, runner=runner)
    assert spread.digest == local.digest
    assert there.steps == here.steps
    assert set(there.notes) == set(here.notes)
    assert {path.name for path in tmp_path.iterdir()} == {"local", "spread"}


def test_evaluation_gives_the_same_results(runner: RayRunner, inputs: CalibrationInputs, tmp_path: Path) -> None:
    options = EvaluationOptions(
        calibration=replace(OPTIONS, scorer=ScorerChoice.ONE_CLASS),
        models=(fgsm(30), pgd(60, steps=3), spatial(tries=3)),
        most_images=500,
        attack_images=135,
        control_images=30,
        leave_out=False,
        peers=False,
        adaptive_images=0,
    )
    local = evaluate(inputs, options, tmp_path / "local", Recorder())
    spread = evaluate(inputs, options, tmp_path / "spread", Recorder(), runner=runner)
    assert len(local.attacks) > 1
    assert read_bundle(tmp_path / "spread" / "bundle").digest == read_bundle(tmp_path / "local" / "bundle").digest
    # Channels hold times, and examples arrays, which don't compare.
    assert replace(spread, milliseconds_per_image=0, channels=(), examples=()) == replace(
        local, milliseconds_per_image=0, channels=(), examples=()
    )


def test_a_surrogate_goes_along(runner: RayRunner, digits: EmbeddedDefault) -> None:
    images, labels = calibration_images(digits)
    classifier = digits_torch(digits)
    surrogate = train_surrogate(images, labels, 10, SurrogateOptions(steps=30, flips=False))
    target = AttackTarget(classifier, images[:150], labels[:150], surrogate)
    job = attack_job(transfer(48, steps=3), target, seed=1, title="Transfer", compute=keep_successes)
    local = LocalRunner(Models(classifier, classifier))
    ((_, here),), ((_, there),) = (list(run_jobs([job], one, Recorder())) for one in (local, runner))
    assert len(here["rows"]) > 10
    for name, array in here.items():
        np.testing.assert_array_equal(there[name], array)


def test_a_killed_worker_costs_its_shard_alone(runner: RayRunner, tmp_path: Path) -> None:
    deaths = Deaths(tmp_path, victim=3, times=1)
    told = Recorder()
    ((_, arrays),) = run_jobs([_job(squares, deaths, 8)], runner, told)
    np.testing.assert_array_equal(arrays["squares"], np.arange(8) ** 2)
    assert deaths.executions() == [0, 1, 2, 3, 3, 4, 5, 6, 7]
    assert told.steps == {"Squaring": (8, 8)}


def test_shards_of_several_jobs_run_side_by_side_in_other_processes(runner: RayRunner) -> None:
    done = dict(run_jobs([_job(processes, None, 3), _job(processes, None, 3)], runner, Recorder()))
    assert sorted(done) == [0, 1]
    pids = {int(pid) for arrays in done.values() for pid in arrays["pids"]}
    assert os.getpid() not in pids
    assert len(pids) <= WORKERS + 1  # one more where a worker was killed before


def test_what_a_shard_refuses_is_raised_here(runner: RayRunner) -> None:
    with pytest.raises(ClassifierError, match=r"^shard 0 puts out nonsense$"):
        list(run_jobs([_job(refusing, None, 1)], runner, Recorder()))


def test_work_that_asks_no_models_runs_without_any(ray: Any, tmp_path: Path) -> None:
    runner = RayRunner(ray, NoModels(1, tool_versions()))
    ((_, arrays),) = run_jobs([_job(squares, Deaths(tmp_path, -1, 0), 3)], runner, Recorder())
    np.testing.assert_array_equal(arrays["squares"], [0, 1, 4])


def test_a_shard_that_kills_every_worker_is_given_up(ray: Any, inputs: CalibrationInputs, tmp_path: Path) -> None:
    runner = RayRunner(ray, model_recipe(inputs, threads=1), retries=0)
    deaths = Deaths(tmp_path, victim=0, times=9)
    with pytest.raises(ScaleOutError, match=r"Squaring, shard 0: Ray gave it up after 0 retries: WorkerCrashedError"):
        list(run_jobs([_job(squares, deaths, 1)], runner, Recorder()))
    assert deaths.executions() == [0]
