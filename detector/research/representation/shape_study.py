"""The study of shape: what depth and width make of paths, and of how near networks of two seeds are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from detector.errors import AnalysisError
from detector.research.representation.capture import path_names
from detector.research.representation.path_jobs import geometry_job, pairs_job, together_job
from detector.research.representation.plotting import curvature_of
from detector.research.representation.probe import layers_of
from detector.research.representation.shape_claims import shape_claims
from detector.research.representation.shape_sections import shape_charts, shape_sections
from detector.research.representation.shapes import Shape, Shapes
from detector.research.representation.study_options import PathStudyOptions, shape_name
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.research.representation.path_jobs import Trained
    from detector.research.representation.probe import Probe
    from detector.research.studies import Workplace
    from detector.shards.stages import Arrays
    from detector.training.data import LabelledImages

NAME: Final = "shape"
MAX_SHAPES: Final = 20
_ENDS = (0, -1)  # checkpoints: the start and the end


@dataclass(frozen=True, kw_only=True, eq=False)
class ShapeOptions(PathStudyOptions):
    """Which shapes are compared; see `PathStudyOptions` for the rest.

    Args:
        depths: Of networks of the usual width, rising.
        widths: Of networks of the usual depth, rising.

    Raises:
        AnalysisError: A value is out of range, or there is no such network.
    """

    depths: tuple[int, ...] = (2, 4, 8)
    widths: tuple[int, ...] = (16, 64, 256)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, values in (("depths", self.depths), ("widths", self.widths)):
            if not values or list(values) != sorted(set(values)):
                raise AnalysisError(f"{name} must rise, not {list(values)}")
        if len(self.shapes) > MAX_SHAPES:
            raise AnalysisError(f"shapes: at most {MAX_SHAPES} are compared, not {len(self.shapes)}")
        for depth, width in self.shapes:
            shape_name(self.architecture, depth, width)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """All depths and widths of networks that are compared."""
        by_depth = [(depth, self.width) for depth in self.depths]
        by_width = [(self.depth, width) for width in self.widths]
        return tuple(dict.fromkeys([*by_depth, *by_width]))

    def small(self) -> Self:
        """The same for seconds: the least and the most of each."""
        return replace(super().small(), depths=_ends(self.depths), widths=_ends(self.widths))


def study(workplace: Workplace, options: ShapeOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few images, training diverges, or a layer is no point of the space.
        CalibrationError: The disk refuses.
    """
    train, probe = options.split()
    found, firsts = [], []
    for depth, width in options.shapes:
        trained = options.trained(workplace, train, depth, width)
        firsts.append(trained.only(0).at(-1))
        arrays = _measured(workplace, probe, trained.at(*_ENDS))
        name, points = options.name(depth, width), path_names(layers_of(trained.recipe))
        found.append(Shape(name, depth, width, points, arrays))
    together = workplace.done(
        "representation/shapes together",
        partial(together_job, "Paths of all shapes, side by side", firsts, probe),
        probe=probe.to_json(),
        trained=[trained.to_json() for trained in firsts],
    )["distances"]
    what = _what(options, train, probe)
    shapes = Shapes(what, tuple(found), options.depth, options.width, together, curvature_of(probe.space))
    charts = shape_charts(shapes)
    kept = {f"{one.name} {name}": value for one in found for name, value in one.arrays.items()}
    return Study(
        name=NAME,
        figures={**shapes.figures(), "options": options.to_json()},
        arrays={**kept, "together": together},
        sections=shape_sections(shapes, charts),
        charts=charts,
        claims=shape_claims(shapes),
    )


def _measured(workplace: Workplace, probe: Probe, trained: Trained) -> Arrays:
    """As for `Shape`."""
    depends = {"probe": probe.to_json(), "trained": trained.to_json()}
    name = trained.recipe.architecture
    geometry = workplace.done(
        "representation/geometry", partial(geometry_job, f"Paths of {name}", trained, probe), **depends
    )
    pairs = workplace.done("representation/pairs", partial(pairs_job, f"Seeds of {name}", trained, probe), **depends)
    return {**geometry, "pairs": pairs["distances"]}


def _what(options: ShapeOptions, train: LabelledImages, probe: Probe) -> str:
    return (
        f"{options.seeds} networks of each of {len(options.shapes)} shapes of {options.architecture}, "
        f"{options.networks.epochs} epochs on {len(train)} images; paths of {len(probe.images)} others in "
        f"{probe.space.name}"
    )


def _ends(values: tuple[int, ...]) -> tuple[int, ...]:
    return values[:: max(1, len(values) - 1)][:2]
