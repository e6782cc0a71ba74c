"""The analysis of networks as paths through the space of representations: all its studies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detector.research import analysis
from detector.research.analysis import AnalysisKind
from detector.research.representation import attacked_study, classifier_study, shape_study, training_study
from detector.research.representation.options import RepresentationOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.progress import Progress
    from detector.research.analysis import Analysis
    from detector.research.studies import Study, Workplace
    from detector.shards.base import ShardRunner

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


def analyse(
    options: RepresentationOptions,
    folder: Path,
    progress: Progress,
    *,
    source: str,
    inputs: CalibrationInputs | None = None,
    studies: Sequence[str] = (),
    runner: ShardRunner | None = None,
) -> Analysis:
    """Run studies and write what they find; see `detector.research.analysis.analyse`.

    Args:
        options: How, and on what images networks are trained.
        folder: Where results go.
        progress: Watches.
        source: What to call the images.
        inputs: A given classifier and held-out images; None for studies of networks trained here.
        studies: Which, by name; none for all that have something to work on.
        runner: Runs the shards of what takes long; None runs them in this process.

    Raises:
        AnalysisError: A study is unknown, or none of them could be done.
        ScaleOutError: The runner gave up; what is finished is kept.
    """
    given = [classifier_study.NAME] if inputs is not None else [n for n in STUDIES if n != classifier_study.NAME]
    facts = {**_trained_on(options, source), **_classifier(inputs)}
    return analysis.analyse(
        KIND, options, folder, progress, studies=studies or given, facts=facts, inputs=inputs, runner=runner
    )


def _trained_on(options: RepresentationOptions, source: str) -> dict[str, object]:
    images = options.images
    if images is None:
        return {}
    return {
        "images": f"{len(images)} of {source}",
        "shape": list(images.shape),
        "classes": images.classes,
        "image digest": images.digest,
    }


def _classifier(inputs: CalibrationInputs | None) -> dict[str, object]:
    if inputs is None:
        return {}
    return {
        "classifier": inputs.loaded.classifier.description,
        "gradients": inputs.gradients.description if inputs.gradients else "none",
        "held-out images": len(inputs.images),
        "image digest": inputs.images.digest,
    }
