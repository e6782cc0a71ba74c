"""The analysis of linear connectivity modulo permutation: all its studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.research.analysis import AnalysisKind
from detector.research.permutation import kernel_study, merging_study, pruning_study, trajectory_study, width_study
from detector.research.permutation.options import PermutationOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detector.research.studies import Study, Workplace

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
