"""What a shard of work is, and who runs shards.

What a shard gives depends on the shard alone: not on who runs it, nor on how many others run, nor in which order. So a
calibration's numbers are the same here and on a cluster, and a shard that is lost is simply run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from detector.progress import Advance

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from detector.classifiers.base import Classifier
    from detector.classifiers.torch import TorchClassifier
    from detector.shards.stages import Arrays


@dataclass(frozen=True, eq=False)
class Models:
    """What shards are computed with; each process opens its own.

    Args:
        classifier: The one that is deployed.
        gradients: Answers like it and has gradients; None where there are none.
    """

    classifier: Classifier
    gradients: TorchClassifier | None


Compute = Callable[[Models, Any, Any, Advance], "Arrays"]
"""A shard's work: given the models, what all shards of the job share, the shard's own part, and whom to tell of steps.

A function of a module, so that another process finds it by its name. It changes nothing that it is given. The first
axis of its arrays counts the same things in every shard: they are joined along it."""


@dataclass(frozen=True)
class Shard:
    """A part of a job.

    Args:
        number: From 0, without a gap.
        rows: Which of the job's rows.
        steps: How many steps of progress it is worth.
    """

    number: int
    rows: slice
    steps: int


def shards(count: int, size: int) -> tuple[Shard, ...]:
    """Cut rows into parts of a size; the last may be smaller. One row is one step of progress."""
    starts = range(0, count, size)
    return tuple(Shard(i, slice(at, min(at + size, count)), min(size, count - at)) for i, at in enumerate(starts))


@dataclass(frozen=True, eq=False)
class Job:
    """Work that is done in shards.

    Args:
        title: For people who watch.
        compute: What is done with each.
        shared: What all of them read; sent to each process once.
        part: Makes what one of them reads, here, when its turn comes; asked in rising order.
        shards: At least one.
    """

    title: str
    compute: Compute
    shared: Any
    part: Callable[[Shard], Any]
    shards: Sequence[Shard]

    @property
    def steps(self) -> int:
        """Of progress, in all."""
        return sum(shard.steps for shard in self.shards)


@dataclass(frozen=True, eq=False)
class Task:
    """One shard of one job, to be run.

    Args:
        job: Whose.
        shard: Which.
        advance: Told of its steps, all in all as many as the shard is worth.
    """

    job: Job
    shard: Shard
    advance: Advance


class ShardRunner(Protocol):
    """Runs shards, here or elsewhere."""

    @property
    def description(self) -> str:
        """One line for people: where they run."""
        ...

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Arrays]]:
        """Run tasks, which are taken one after the other and no sooner than there is room.

        Yields:
            Each task with its arrays, as it is finished; in the order given or any other.

        Raises:
            ScaleOutError: Whoever runs them gave up.
        """
        ...


class LocalRunner:
    """Runs shards in this process, one after the other.

    Args:
        models: What they are computed with; None for work that asks none.
    """

    description = "in this process"

    def __init__(self, models: Models | None) -> None:
        self._models: Any = models

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Arrays]]:
        """Run tasks in their order; see `ShardRunner`."""
        for task in tasks:
            yield task, task.job.compute(self._models, task.job.shared, task.job.part(task.shard), task.advance)
