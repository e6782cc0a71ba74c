"""Shards as Ray tasks.

A task whose worker dies is run again by Ray, on another; what other tasks found is kept. Arrays and functions travel
between processes in Ray's own serialisation, in memory; nothing of it is written to disk or read from there by us.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detector import errors
from detector.errors import IsthmusError, ScaleOutError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from detector.shards.base import Compute, Job, Task
    from detector.shards.recipe import ModelRecipe, NoModels
    from detector.shards.stages import Arrays

_AHEAD = 2  # shards under way for each worker, so that none waits for its next one


@dataclass(frozen=True)
class Refused:
    """What a shard raised on purpose.

    Args:
        kind: Its class, one of `detector.errors`.
        message: Its text.
    """

    kind: str
    message: str

    def error(self) -> IsthmusError:
        """The same, to be raised here; of the general class where it takes more than a text."""
        return _TOLD.get(self.kind, ScaleOutError)(self.message)


_TOLD = {
    kind.__name__: kind
    for kind in (
        errors.AnalysisError,
        errors.CalibrationError,
        errors.ClassifierError,
        errors.ClassifierMismatchError,
        errors.GradientsUnavailableError,
    )
}


class RayRunner:
    """Runs shards on the cluster that is joined.

    Args:
        ray: The module, connected.
        recipe: How workers open their models, once in each process.
        retries: Of a shard whose worker died.
    """

    def __init__(self, ray: Any, recipe: ModelRecipe | NoModels, *, retries: int = 3) -> None:
        self._ray = ray
        self._key = recipe.key
        self._recipe = ray.put(recipe)
        self._run = ray.remote(num_cpus=recipe.threads, max_retries=retries)(compute_shard)
        self._threads, self._retries = recipe.threads, retries

    @property
    def workers(self) -> int:
        """How many shards are computed at once, as the cluster is now."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1) // self._threads))

    @property
    def description(self) -> str:
        """One line for people."""
        return f"on Ray, {self.workers} workers with {self._threads} CPU threads each"

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Arrays]]:
        """Run tasks, those that are finished first; see `ShardRunner`."""
        waiting, most = iter(tasks), _AHEAD * self.workers
        under_way: dict[Any, Task] = {}
        sent = _Sent(self._ray)
        try:
            while True:
                while len(under_way) < most and (task := next(waiting, None)) is not None:
                    under_way[self._submit(task, sent)] = task
                if not under_way:
                    return
                (done, *_), _ = self._ray.wait(list(under_way), num_returns=1)
                task = under_way.pop(done)
                arrays = self._fetched(done, task)
                task.advance(task.shard.steps)
                yield task, arrays
                sent.keep(one.job for one in under_way.values())
        finally:
            for reference in under_way:
                self._ray.cancel(reference, force=True)

    def _submit(self, task: Task, sent: _Sent) -> Any:
        # In a list, a reference stays one: the recipe is fetched only by a process that has not opened it yet.
        return self._run.options(name=task.job.title).remote(
            [self._recipe], self._key, task.job.compute, sent.shared(task.job), task.job.part(task.shard)
        )

    def _fetched(self, reference: Any, task: Task) -> Arrays:
        where = f"{task.job.title}, shard {task.shard.number}"
        try:
            found = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError:
            raise  # a fault of ours, with the worker's own traceback
        except self._ray.exceptions.RayError as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ScaleOutError(
                f"{where}: Ray gave it up after {self._retries} retries: {type(error).__name__} ({reason}); what is "
                "finished is kept, and the same command goes on from there"
            ) from error
        if isinstance(found, Refused):
            raise found.error()
        return found


class _Sent:
    """What jobs share, in Ray's object store as long as one of their shards is under way."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._references: dict[int, Any] = {}
        self._latest: int | None = None

    def shared(self, job: Job) -> Any:
        self._latest = id(job)
        if id(job) not in self._references:
            self._references[id(job)] = self._ray.put(job.shared)
        return self._references[id(job)]

    def keep(self, jobs: Iterable[Job]) -> None:
        """Forget all but what these share, and what the latest job does."""
        wanted = {self._latest, *map(id, jobs)}
        self._references = {key: value for key, value in self._references.items() if key in wanted}


_OPENED: dict[str, Any] = {}
"""The models of this worker's process, by the recipe's key; those of one run."""


def compute_shard(recipe: list[Any], key: str, compute: Compute, shared: Any, part: Any) -> Arrays | Refused:
    """What a worker does with a shard."""
    try:
        return compute(_models(recipe, key), shared, part, _unheard)
    except IsthmusError as error:
        return Refused(type(error).__name__, str(error))


def _models(recipe: list[Any], key: str) -> Any:
    if key not in _OPENED:
        import ray

        _OPENED.clear()
        _OPENED[key] = ray.get(recipe[0]).open()
    return _OPENED[key]


def _unheard(steps: int) -> None:
    """Progress is told where the shard's result arrives."""
    del steps
