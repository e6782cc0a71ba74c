"""The analysis of networks as paths through the space of representations: all its studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.research.analysis import AnalysisKind
from detector.research.representation import attacked_study, classifier_study, shape_study, training_study
from detector.research.representation.options import RepresentationOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detector.research.studies import Study, Workplace

STUDIES: Final[Mapping[str, Callable[[Workplace, RepresentationOptions], Study]]] = {
    training_study.NAME: lambda at, options: training_study.study(at, options.of_training),
    shape_study.NAME: lambda at, options: shape_study.study(at, options.of_shapes),
    attacked_study.NAME: lambda at, options: attacked_study.study(at, options.of_attacks),
    classifier_study.NAME: lambda at, options: classifier_study.study(at, options.of_classifier),
}
"""All studies, in the order they are run and reported: what is new is a line here."""

KIND: Final = AnalysisKind[RepresentationOptions](
    name="representation",
    title="Networks as paths through representation space",
    units="Distances are those of the space that is named with each figure: of angular CKA radians, 0 to pi.",
    studies=STUDIES,
)


def studies_of(*, given: bool) -> tuple[str, ...]:
    """The studies that have something to work on, by name.

    Args:
        given: Whether there is a given classifier; otherwise networks are trained.
    """
    return tuple(name for name in STUDIES if (name == classifier_study.NAME) is given)
