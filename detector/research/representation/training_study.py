"""The study of training: what it makes of the path of a random network."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.research.representation.capture import path_names
from detector.research.representation.course import Course
from detector.research.representation.path_jobs import geometry_job, together_job
from detector.research.representation.plotting import curvature_of
from detector.research.representation.probe import layers_of
from detector.research.representation.training_claims import training_claims
from detector.research.representation.training_sections import training_charts, training_sections
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.research.representation.study_options import PathStudyOptions
    from detector.research.studies import Workplace

NAME: Final = "training"


def study(workplace: Workplace, options: PathStudyOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few images, training diverges, or a layer is no point of the space.
        CalibrationError: The disk refuses.
    """
    train, probe = options.split()
    trained = options.trained(workplace, train, options.depth, options.width)
    depends = {"probe": probe.to_json(), "trained": trained.to_json()}
    arrays = workplace.done(
        "representation/geometry", partial(geometry_job, "Paths over training", trained, probe), **depends
    )
    together = workplace.done(
        "representation/course",
        partial(together_job, "Paths over training, side by side", (trained.only(0),), probe),
        **depends,
    )["distances"]
    what = (
        f"{options.seeds} networks {options.name()}, {options.networks.epochs} epochs on {len(train)} images; paths of "
        f"{len(probe.images)} others in {probe.space.name}"
    )
    course = Course(
        what, path_names(layers_of(trained.recipe)), options.epochs, arrays, together, curvature_of(probe.space)
    )
    charts = training_charts(course)
    return Study(
        name=NAME,
        figures={**course.figures(), "options": options.to_json()},
        arrays={**arrays, "epochs": np.array(options.epochs), "together": together},
        sections=training_sections(course, charts),
        charts=charts,
        claims=training_claims(course),
    )
