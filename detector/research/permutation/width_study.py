"""The study of width: which networks of one task are linearly connected modulo permutation, and how many at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import AnalysisError
from detector.research.networks import trained_networks
from detector.research.permutation.networks import at_width
from detector.research.permutation.study_options import NetworkStudyOptions
from detector.research.permutation.width_claims import width_claims
from detector.research.permutation.width_job import SETS, TRIPLE, Comparison, Triples, triples_job
from detector.research.permutation.width_sections import width_charts, width_sections
from detector.research.permutation.widths import Widths
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.metrics import Estimate
    from detector.research.studies import Workplace

NAME: Final = "width"
MAX_WIDTH: Final = 4096
MAX_TRIPLES: Final = 100
_SEEDS = TRIPLE * MAX_TRIPLES  # from one seed of the study to the next


@dataclass(frozen=True, kw_only=True, eq=False)
class WidthOptions(NetworkStudyOptions):
    """What is compared; see `NetworkStudyOptions` for the rest.

    Args:
        widths: Of the networks, rising.
        triples: Of networks at each width, no two of which share one.
        mixtures: Of three networks that are measured, besides each by itself and their mean.

    Raises:
        AnalysisError: A value is out of range.
    """

    widths: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    triples: int = 4
    mixtures: int = 12

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.widths or list(self.widths) != sorted(set(self.widths)):
            raise AnalysisError(f"widths must rise, not {list(self.widths)}")
        if self.widths[0] < 2 or self.widths[-1] > MAX_WIDTH:  # noqa: PLR2004 - one unit has no permutation
            raise AnalysisError(f"widths must lie in 2..{MAX_WIDTH}, not {list(self.widths)}")
        if not 2 <= self.triples <= MAX_TRIPLES or self.mixtures < 1:  # noqa: PLR2004 - without two there is no interval
            raise AnalysisError(f"triples must lie in 2..{MAX_TRIPLES}, mixtures be at least 1")

    def small(self) -> WidthOptions:
        """The same for seconds: two triples of two widths, trained shortly."""
        return replace(
            self,
            networks=replace(self.networks, epochs=min(self.networks.epochs, 4)),
            widths=self.widths[:: max(1, len(self.widths) - 1)][:2],
            triples=2,
            points=5,
            mixtures=4,
        )


def study(workplace: Workplace, options: WidthOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few images, training diverges, or the networks have no symmetries.
        CalibrationError: The disk refuses.
    """
    train, held_out = options.split()
    found = []
    for width in options.widths:
        seeds = range(TRIPLE * options.triples)
        recipes = [options.networks.recipe(width, train, options.seed * _SEEDS + seed) for seed in seeds]
        weights = trained_networks(workplace, f"Training, width {width}", recipes, train)
        sets = options.heads(train, held_out)
        shared = Triples(recipes[0], *sets, options.points, options.mixtures, options.matching, options.seed)
        found.append(
            workplace.done(
                "permutation/triples",
                partial(triples_job, f"Comparing, width {width}", weights, shared),
                recipes=[recipe.to_json() for recipe in recipes],
                held_out=held_out.digest,
                measured=options.measured,
                points=options.points,
                mixtures=options.mixtures,
                matching=asdict(options.matching),
                seed=options.seed,
            )
        )
    arrays = {name: np.stack([one[name] for one in found]) for name in found[0]}
    name = at_width(options.networks.architecture, options.widths[-1])
    what = (
        f"{options.triples} triples at each width, {options.networks.epochs} epochs on {len(train)} images; the widest "
        f"is {name}"
    )
    measured = Widths(what, options.widths, options.triples, arrays)
    charts = width_charts(measured)
    return Study(
        name=NAME,
        figures={**_figures(measured), "options": options.to_json()},
        arrays={**arrays, "widths": np.array(options.widths)},
        sections=width_sections(measured, charts),
        charts=charts,
        claims=width_claims(measured),
    )


def _figures(measured: Widths) -> dict[str, Any]:
    def plain(estimates: list[Estimate]) -> list[dict[str, float] | None]:
        return [asdict(one) if np.isfinite(one.value) else None for one in estimates]

    return {
        "what": measured.what,
        "widths": list(measured.widths),
        "barriers": {
            which.value: {
                f"{kind}, {name}": plain(measured.of("barriers", number, place, axis))
                for place, name in enumerate(SETS)
                for axis, kind in enumerate(("loss", "error"))
            }
            for number, which in enumerate(Comparison)
        },
        "three networks": {
            f"{what} {kind}, {name}": plain(found)
            for place, name in enumerate(SETS)
            for axis, kind in enumerate(("loss", "error"))
            for what, found in (
                ("worst", measured.worst(error=bool(axis), held_out=bool(place))),
                *((each, measured.of(each, place, axis)) for each in ("middle", "single", "merged")),
            )
        },
        "matched alike": {
            name: plain(measured.of("agreement", place))
            for place, name in enumerate(("weights", "activations", "cycle"))
        },
    }
