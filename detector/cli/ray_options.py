"""Options that spread work over Ray."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.classifier_options import panelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detector.calibration.inputs import CalibrationInputs
    from detector.progress import Progress
    from detector.shards.base import ShardRunner

_WHERE = "Where the work is done"

RayOption = Annotated[
    bool, panelled("Spread the work over a Ray that is started on this machine and ended again.", _WHERE, "--ray")
]
RayAddressOption = Annotated[
    str | None,
    panelled(
        "Spread the work over a Ray cluster that runs already: auto (this machine is part of it), the host:port of its "
        "head, or ray://host:port.",
        _WHERE,
    ),
]
RayWorkersOption = Annotated[
    int | None, panelled("Workers of the Ray that --ray starts; one for each CPU if not given.", _WHERE, min=1)
]


def check_ray(*, ray: bool, address: str | None, workers: int | None) -> None:
    """Refuse options that contradict each other, and Ray where it is not installed, before anything long begins.

    Raises:
        typer.BadParameter: They do; names the option.
        MissingExtraError: It is not.
    """
    if ray and address is not None:
        raise typer.BadParameter("--ray starts a Ray of its own, --ray-address joins one: give one of them")
    if workers is not None and not ray:
        raise typer.BadParameter("--ray-workers needs --ray; a cluster that is joined has the workers it has")
    if ray or address is not None:
        from detector.shards.cluster import require_ray

        require_ray()


@contextmanager
def spread(
    inputs: CalibrationInputs | None,
    *,
    ray: bool,
    address: str | None,
    workers: int | None,
    threads: int | None,
    progress: Progress,
) -> Iterator[ShardRunner | None]:
    """What runs shards, as the options have it; None for this process.

    Args:
        inputs: What is calibrated; None for work that asks no models.
        ray: Whether to start a Ray.
        address: Of the one to join.
        workers: Of the one that is started.
        threads: CPU threads of each worker; None is one.
        progress: Watches.

    Raises:
        ClassifierError: The classifier runs elsewhere.
        ScaleOutError: There is no such cluster, or Ray does not start.
    """
    if not ray and address is None:
        yield None
        return
    from detector.calibration.spreading import model_recipe
    from detector.shards.cluster import joined_cluster, local_cluster
    from detector.shards.ray_runner import RayRunner
    from detector.shards.recipe import NoModels
    from detector.versions import tool_versions

    each = threads or 1
    recipe = NoModels(each, tool_versions()) if inputs is None else model_recipe(inputs, threads=each)
    cluster = local_cluster(None if workers is None else workers * each) if address is None else joined_cluster(address)
    with cluster as connected:
        runner = RayRunner(connected, recipe)
        progress.note(f"shards are computed {runner.description}")
        yield runner
