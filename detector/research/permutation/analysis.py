"""The analysis of linear connectivity modulo permutation: all its studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.research import analysis
from detector.research.analysis import AnalysisKind
from detector.research.permutation import kernel_study, merging_study, pruning_study, trajectory_study, width_study
from detector.research.permutation.options import PermutationOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from detector.progress import Progress
    from detector.research.analysis import Analysis
    from detector.research.studies import Study, Workplace
    from detector.shards.base import ShardRunner

STUDIES: Final[Mapping[str, Callable[[Workplace, PermutationOptions], Study]]] = {
    width_study.NAME: lambda at, options: width_study.study(at, options.of_widths),
    trajectory_study.NAME: lambda at, options: trajectory_study.study(at, options.of_trajectories),
    pruning_study.NAME: lambda at, options: pruning_study.study(at, options.of_pruning),
    kernel_study.NAME: lambda at, options: kernel_study.study(at, options.of_kernels),
    merging_study.NAME: lambda at, options: merging_study.study(at, options.of_merging),
}
"""All studies, in the order they are run and reported: what is new is a line here."""

KIND: Final = AnalysisKind[PermutationOptions](
    name="permutation",
    title="Linear connectivity modulo permutation",
    units="Error barriers are shares of images (0.02 is two points of accuracy), loss barriers nats.",
    studies=STUDIES,
)


def analyse(
    options: PermutationOptions,
    folder: Path,
    progress: Progress,
    *,
    source: str,
    studies: Sequence[str] = (),
    runner: ShardRunner | None = None,
) -> Analysis:
    """Run studies and write what they find; see `detector.research.analysis.analyse`.

    Args:
        options: How, and on what images.
        folder: Where results go.
        progress: Watches.
        source: What to call the images.
        studies: Which, by name; none for all.
        runner: Runs the shards of what takes long; None runs them in this process.

    Raises:
        AnalysisError: A study is unknown, or none of them could be done.
        ScaleOutError: The runner gave up; what is finished is kept.
    """
    images = options.images
    facts = {
        "images": f"{len(images)} of {source}",
        "shape": list(images.shape),
        "classes": images.classes,
        "image digest": images.digest,
    }
    return analysis.analyse(
        KIND, options, folder, progress, studies=studies or tuple(STUDIES), facts=facts, runner=runner
    )
