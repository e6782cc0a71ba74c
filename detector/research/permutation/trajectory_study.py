"""The study of trajectories: whether one permutation connects two networks at every moment of their training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import AnalysisError
from detector.research.networks import trained_networks
from detector.research.permutation.hybrids import Hybrid
from detector.research.permutation.networks import at_width
from detector.research.permutation.study_options import NetworkStudyOptions
from detector.research.permutation.trajectories import Trajectory
from detector.research.permutation.trajectory_claims import trajectory_claims
from detector.research.permutation.trajectory_job import PAIR, Trajectories, trajectories_job
from detector.research.permutation.trajectory_sections import trajectory_charts, trajectory_sections
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.research.studies import Workplace

NAME: Final = "trajectory"
MAX_PAIRS: Final = 100
_SEEDS = PAIR * MAX_PAIRS  # from one seed of the study to the next
_EARLY = 2  # checkpoints that lend their layers to hybrids: the random start and the first after it


@dataclass(frozen=True, kw_only=True, eq=False)
class TrajectoryOptions(NetworkStudyOptions):
    """What is followed; see `NetworkStudyOptions` for the rest.

    Args:
        width: Of the networks.
        pairs: Of networks, no two of which share one.
        at: Epochs at which there are checkpoints, rising from 0 to the last; None doubles from 1 on.

    Raises:
        AnalysisError: A value is out of range.
    """

    width: int = 128
    pairs: int = 3
    at: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.pairs <= MAX_PAIRS:  # noqa: PLR2004 - without two there is no interval
            raise AnalysisError(f"trajectory: pairs must lie in 2..{MAX_PAIRS}, not {self.pairs}")
        if self.width < 2:  # noqa: PLR2004 - one unit has no permutation
            raise AnalysisError(f"trajectory: width must be at least 2, not {self.width}")
        at = self.epochs
        if len(at) < 3 or at[0] != 0 or list(at) != sorted(set(at)) or at[-1] != self.networks.epochs:  # noqa: PLR2004 - start, middle, end
            raise AnalysisError(
                f"trajectory: epochs must be three or more and rise from 0 to {self.networks.epochs}, not {list(at)}"
            )

    @property
    def epochs(self) -> tuple[int, ...]:
        """Those at which there are checkpoints."""
        return self.networks.doubling_epochs if self.at is None else self.at

    def small(self) -> TrajectoryOptions:
        """The same for seconds: two pairs of narrow networks, trained shortly."""
        networks = replace(self.networks, epochs=min(self.networks.epochs, 4))
        return replace(self, networks=networks, width=min(self.width, 32), pairs=2, at=None, points=5)

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        return {**super().to_json(), "at": list(self.epochs)}


def study(workplace: Workplace, options: TrajectoryOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few images, training diverges, or the networks have no symmetries.
        CalibrationError: The disk refuses.
    """
    train, held_out = options.split()
    seeds = range(options.seed * _SEEDS, options.seed * _SEEDS + PAIR * options.pairs)
    recipes = [options.networks.recipe(options.width, train, seed) for seed in seeds]
    steps = [epoch * options.networks.epoch_steps(train) for epoch in options.epochs]
    weights = trained_networks(workplace, "Training, with checkpoints", recipes, train, steps)
    sets = options.heads(train, held_out)
    shared = Trajectories(recipes[0], *sets, options.points, len(steps), _EARLY, options.matching)
    arrays = workplace.done(
        "permutation/trajectories",
        partial(trajectories_job, "Aligning checkpoints", weights, shared),
        recipes=[recipe.to_json() for recipe in recipes],
        at=steps,
        held_out=held_out.digest,
        measured=options.measured,
        early=_EARLY,
        points=options.points,
        matching=asdict(options.matching),
    )
    name = at_width(options.networks.architecture, options.width)
    what = f"{options.pairs} pairs of {name}, {options.networks.epochs} epochs on {len(train)} images"
    found = Trajectory(what, options.epochs, tuple(shared.layers[cut][0] for cut in shared.cuts), arrays)
    charts = trajectory_charts(found)
    return Study(
        name=NAME,
        figures={**_figures(found), "options": options.to_json()},
        arrays={**arrays, "epochs": np.array(options.epochs)},
        sections=trajectory_sections(found, charts),
        charts=charts,
        claims=trajectory_claims(found),
    )


def _figures(found: Trajectory) -> dict[str, Any]:
    return {
        "what": found.what,
        "epochs": list(found.epochs),
        "error barrier, training": {name: found.errors(name).tolist() for name in found.names},
        "error barrier, held-out": {name: found.errors(name, held_out=True).tolist() for name in found.names},
        "loss barrier, training": {name: found.losses(name).tolist() for name in found.names},
        "matches already final": [asdict(one) for one in found.final],
        "error, held-out": found.arrays["ends"][:, :, 1, 1].mean(0).tolist(),
        "hybrids": {
            str(found.epochs[early]): {
                kind.value: dict(zip(found.layers, found.hybrid_errors(early, kind).tolist(), strict=True))
                for kind in Hybrid
            }
            for early in range(found.arrays["hybrids"].shape[1])
        },
    }
