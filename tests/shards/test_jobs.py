from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.shards.base import Job, LocalRunner, Models, shards
from detector.shards.jobs import Stage, run_jobs, run_stages
from detector.shards.stages import StageStore
from tests.support.calibrating import Recorder
from tests.support.tiny import tiny_torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from detector.progress import Advance
    from detector.shards.base import Task
    from detector.shards.stages import Arrays


class Work:
    """Counts what is computed, and is interrupted at one shard.

    Args:
        interrupt_at: The row at which the user presses Ctrl-C.
    """

    def __init__(self, interrupt_at: int | None = None) -> None:
        self._interrupt_at = interrupt_at
        self.done: list[int] = []

    def __call__(self, models: Models, shared: int, rows: range, advance: Advance) -> Arrays:
        del models
        if rows.start == self._interrupt_at:
            raise KeyboardInterrupt
        self.done.append(rows.start)
        advance(len(rows))
        return {"powers": np.array(rows) ** shared}

    def stage(self, count: int = 10, *, name: str = "powers") -> Stage:
        """Three shards."""

        def job() -> Job:
            return Job(name, self, 2, lambda shard: range(shard.rows.start, shard.rows.stop), shards(count, 4))

        return Stage(name, job, {"count": count})


class Backwards(LocalRunner):
    """Finishes what it is given last first, as others may."""

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Arrays]]:
        return super().run(reversed(list(tasks)))


@pytest.fixture
def models() -> Models:
    return Models(tiny_torch(), None)


@pytest.mark.parametrize(
    ("count", "size", "rows"), [(10, 4, [(0, 4), (4, 8), (8, 10)]), (4, 4, [(0, 4)]), (1, 256, [(0, 1)])]
)
def test_shards_are_cut_by_their_size_alone(count: int, size: int, rows: list[tuple[int, int]]) -> None:
    cut = shards(count, size)
    assert [(shard.rows.start, shard.rows.stop) for shard in cut] == rows
    assert [shard.number for shard in cut] == list(range(len(rows)))
    assert sum(shard.steps for shard in cut) == count


@pytest.mark.parametrize("kind", [LocalRunner, Backwards])
def test_results_are_joined_in_the_order_of_shards(models: Models, kind: type[LocalRunner]) -> None:
    told = Recorder()
    jobs = [Work().stage(count, name=f"{count}").job() for count in (10, 7)]
    done = dict(run_jobs(jobs, kind(models), told))
    for number, count in enumerate((10, 7)):
        np.testing.assert_array_equal(done[number]["powers"], np.arange(count) ** 2)
    assert told.steps == {"10": (10, 10), "7": (7, 7)}


def test_an_interrupted_stage_goes_on_from_its_finished_shards(models: Models, tmp_path: Path) -> None:
    first, second, third = Work(interrupt_at=8), Work(), Work()
    store, runner = StageStore(tmp_path, {}), LocalRunner(models)
    with pytest.raises(KeyboardInterrupt):
        list(run_stages([first.stage()], store, runner, Recorder()))
    told = Recorder()
    (done,) = run_stages([second.stage()], StageStore(tmp_path, {}), runner, told)
    assert (first.done, second.done) == ([0, 4], [8])
    assert told.steps == {"powers": (10, 10)}
    assert not done.found
    np.testing.assert_array_equal(done.arrays["powers"], np.arange(10) ** 2)
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]
    (again,) = run_stages([third.stage()], store, runner, told)
    assert again.found
    assert third.done == []


def test_a_damaged_shard_is_computed_again(models: Models, tmp_path: Path) -> None:
    first, second = Work(interrupt_at=8), Work()
    store, runner = StageStore(tmp_path, {}), LocalRunner(models)
    with pytest.raises(KeyboardInterrupt):
        list(run_stages([first.stage()], store, runner, Recorder()))
    (file,) = tmp_path.glob("*.shards/000000.safetensors")
    file.write_bytes(file.read_bytes()[:-3])
    (done,) = run_stages([second.stage()], store, runner, Recorder())
    assert second.done == [0, 8]
    np.testing.assert_array_equal(done.arrays["powers"], np.arange(10) ** 2)


def test_interrupted_as_shards_were_joined_nothing_is_computed_again(models: Models, tmp_path: Path) -> None:
    store, work = StageStore(tmp_path, {}), Work()
    parts = store.parts("powers", count=10)
    for shard in shards(10, 4):
        parts.store(shard.number, {"powers": np.arange(10)[shard.rows] ** 2})
    (done,) = run_stages([work.stage()], store, LocalRunner(models), Recorder())
    assert work.done == []
    np.testing.assert_array_equal(done.arrays["powers"], np.arange(10) ** 2)


def test_found_stages_come_first_and_jobs_are_made_of_the_others_alone(models: Models, tmp_path: Path) -> None:
    store, runner = StageStore(tmp_path, {}), LocalRunner(models)
    list(run_stages([Work().stage(7)], store, runner, Recorder()))
    work = Work()
    done = list(run_stages([work.stage(10), work.stage(7)], store, runner, Recorder()))
    assert [(one.number, one.found) for one in done] == [(1, True), (0, False)]
    assert work.done == [0, 4, 8]
