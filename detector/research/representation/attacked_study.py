"""The study of attacks: at which layers attacked and clean images part more than networks of two seeds do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from detector.research.representation.attacked_job import attacked_job
from detector.research.representation.attacked_sections import (
    Parted,
    attacked_charts,
    attacked_claims,
    attacked_sections,
)
from detector.research.representation.capture import path_names
from detector.research.representation.parting import AttackedProbe, Attacks
from detector.research.representation.path_jobs import pairs_job
from detector.research.representation.probe import layers_of
from detector.research.representation.study_options import PathStudyOptions
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.research.studies import Workplace

NAME: Final = "attacked"
_GREY, _COLOUR = 32.0, 8.0


@dataclass(frozen=True, kw_only=True, eq=False)
class AttackedOptions(PathStudyOptions):
    """What is attacked; see `PathStudyOptions` for the rest.

    Args:
        levels: Most by which a pixel is changed, in 255ths; None for 32 of grey images and 8 of others.

    Raises:
        AnalysisError: A value is out of range.
    """

    levels: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.attacks  # which refuses what it can't use

    @property
    def attacks(self) -> Attacks:
        """What images are moved by."""
        return Attacks(usual_levels(self.images.shape[0]) if self.levels is None else self.levels, self.seed)


def usual_levels(channels: int) -> float:
    """The budget of an attack where none is given, in 255ths: photographs need less than digits."""
    return _GREY if channels == 1 else _COLOUR


def study(workplace: Workplace, options: AttackedOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few images, training diverges, or a layer is no point of the space.
        MissingExtraError: The attack library is not installed.
        CalibrationError: The disk refuses.
    """
    train, probe = options.split()
    trained = options.trained(workplace, train, options.depth, options.width).at(-1)
    depends = {"probe": probe.to_json(), "trained": trained.to_json()}
    arrays = workplace.done(
        "representation/attacked",
        partial(attacked_job, "Attacking networks", trained, AttackedProbe(probe, options.attacks)),
        attacks=options.attacks.to_json(),
        **depends,
    )
    pairs = workplace.done(
        "representation/pairs", partial(pairs_job, f"Seeds of {options.name()}", trained, probe), **depends
    )["distances"]
    what = (
        f"{options.seeds} networks {options.name()}, {options.networks.epochs} epochs on {len(train)} images; "
        f"{len(probe.images)} others in {probe.space.name}, moved by {options.attacks.levels:g}/255"
    )
    names = path_names(layers_of(trained.recipe))
    parted = Parted(what, names, options.attacks.kinds(gradients=True), arrays, pairs)
    charts = attacked_charts(parted)
    return Study(
        name=NAME,
        figures={**parted.figures(), "options": options.to_json()},
        arrays={**arrays, "pairs": pairs},
        sections=attacked_sections(parted, charts),
        charts=charts,
        claims=attacked_claims(parted),
    )
