"""The study of training: what it makes of the path of a random network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.research.representation.capture import path_names
from detector.research.representation.path_geometry import PathGeometry
from detector.research.representation.path_jobs import geometry_job, together_job
from detector.research.representation.plain import plain
from detector.research.representation.plotting import curvature_of
from detector.research.representation.probe import layers_of
from detector.research.representation.training_claims import training_claims
from detector.research.representation.training_sections import training_charts, training_sections
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.research.representation.spaces.base import Array
    from detector.research.representation.study_options import PathStudyOptions
    from detector.research.studies import Workplace
    from detector.shards.stages import Arrays

NAME: Final = "training"


@dataclass(frozen=True, eq=False)
class Course:
    """Networks of one shape over their training.

    Args:
        what: On what, in words.
        names: Of the points of a path.
        epochs: At which there are checkpoints.
        arrays: As of `geometry_job`, (networks, checkpoints, ...).
        together: The distances of all points of the first network's paths and the target, as of `together_job`.
        curvature: Of the space; None where it varies.
    """

    what: str
    names: tuple[str, ...]
    epochs: tuple[int, ...]
    arrays: Arrays
    together: Array
    curvature: float | None

    @property
    def seeds(self) -> int:
        """How many networks."""
        return len(self.arrays["span"])

    @property
    def lengths(self) -> Array:
        """float64 (networks, checkpoints)."""
        return np.asarray(self.arrays["steps"].sum(-1))

    @property
    def slacks(self) -> Array:
        """float64 (networks, checkpoints)."""
        return np.asarray(self.lengths / self.arrays["span"])

    def geometry(self, network: int, checkpoint: int) -> PathGeometry:
        """Of one path."""
        return PathGeometry.from_arrays(self.arrays, network, checkpoint)

    def figures(self) -> dict[str, Any]:
        """JSON values; each list of lists is (networks, checkpoints, ...)."""
        measured = {name: plain(value) for name, value in self.arrays.items()}
        return {
            "what": self.what,
            "points": list(self.names),
            "epochs": list(self.epochs),
            "length": plain(self.lengths),
            "slack": plain(self.slacks),
            **measured,
        }


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
