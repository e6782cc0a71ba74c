"""Running jobs: shards that are found on disk are not run again, and those that are finished are put there."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.shards.base import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from detector.progress import Advance, Progress
    from detector.shards.base import Job, ShardRunner
    from detector.shards.stages import Arrays, PartStore, StageStore


@dataclass(frozen=True, eq=False)
class Stage:
    """A stage of a calibration that is done in shards.

    Args:
        name: As for `StageStore.run`.
        job: Makes its job; not called where the stage is found.
        depends: As for `StageStore.run`.
    """

    name: str
    job: Callable[[], Job]
    depends: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Finished:
    """A stage that is done.

    Args:
        number: Which of those that were to be done.
        arrays: Of all its shards, joined in their order.
        found: Whether it was found rather than computed.
    """

    number: int
    arrays: Arrays
    found: bool


def run_stages(
    stages: Sequence[Stage], store: StageStore, runner: ShardRunner, progress: Progress
) -> Iterator[Finished]:
    """Find or compute stages; the shards of all that must be computed are run together.

    Args:
        stages: Which; none depends on another.
        store: Where they are looked for and kept; also shards of a stage that is not finished yet.
        runner: Runs shards.
        progress: Watches.

    Yields:
        Each as it is done, those that are found first.

    Raises:
        CalibrationError: The disk refuses.
        ScaleOutError: The runner gave up; what is finished is kept.
    """
    missing = []
    for number, stage in enumerate(stages):
        arrays = store.find(stage.name, **stage.depends)
        if arrays is None:
            missing.append(number)
        else:
            yield Finished(number, arrays, found=True)
    made = [stages[number].job() for number in missing]
    kept = [store.parts(stages[number].name, **stages[number].depends) for number in missing]
    for place, arrays in run_jobs(made, runner, progress, kept):
        number = missing[place]
        store.keep(stages[number].name, arrays, **stages[number].depends)
        yield Finished(number, arrays, found=False)


def run_jobs(
    jobs: Sequence[Job], runner: ShardRunner, progress: Progress, kept: Sequence[PartStore | None] | None = None
) -> Iterator[tuple[int, Arrays]]:
    """Run the shards of several jobs together.

    Args:
        jobs: Which.
        runner: Runs shards.
        progress: Told of each job from its first shard to its last.
        kept: For each job where finished shards are kept, None keeps none.

    Yields:
        The number of a job and the arrays of its shards, joined in their order, as it is done.
    """
    under_way = [_UnderWay(job, parts) for job, parts in zip(jobs, kept or [None] * len(jobs), strict=True)]
    numbers = {id(one.job): number for number, one in enumerate(under_way)}
    with ExitStack() as stack:
        for one in under_way:
            stack.push(one.close)
        for number, one in enumerate(under_way):
            if one.is_done:  # all its shards are there from a run that was interrupted as it joined them
                yield number, one.joined()
        tasks = (task for one in under_way for task in one.tasks(progress))
        for task, arrays in runner.run(tasks):
            number = numbers[id(task.job)]
            under_way[number].finish(task, arrays)
            if under_way[number].is_done:
                yield number, under_way[number].joined()


class _UnderWay:
    """One job, and what is done of it."""

    def __init__(self, job: Job, parts: PartStore | None) -> None:
        self.job = job
        self._parts = parts if len(job.shards) > 1 else None  # of one shard nothing is kept but the whole
        found = self._parts.load(len(job.shards)) if self._parts else {}
        self._done: dict[int, Arrays] = dict(found)
        self._watched = ExitStack()

    @property
    def is_done(self) -> bool:
        return len(self._done) == len(self.job.shards)

    def tasks(self, progress: Progress) -> Iterator[Task]:
        """Those that are not done; the first of them starts the progress."""
        rest = [shard for shard in self.job.shards if shard.number not in self._done]
        advance: Advance | None = None
        for shard in rest:
            if advance is None:
                advance = self._watched.enter_context(progress.stage(self.job.title, self.job.steps))
                advance(self.job.steps - sum(one.steps for one in rest))
            yield Task(self.job, shard, advance)

    def finish(self, task: Task, arrays: Arrays) -> None:
        self._done[task.shard.number] = arrays
        if self._parts:
            self._parts.store(task.shard.number, arrays)
        if self.is_done:
            self._watched.close()

    def joined(self) -> Arrays:
        done = [self._done[number] for number in sorted(self._done)]
        return {name: np.concatenate([arrays[name] for arrays in done]) for name in done[0]}

    def close(self, *error: Any) -> None:
        """End its progress, whatever happened."""
        self._watched.__exit__(*error)
