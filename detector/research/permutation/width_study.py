"""The study of width: which networks of one task are linearly connected modulo permutation, and how many at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.errors import AnalysisError
from detector.research.permutation.matching import MatchingOptions
from detector.research.permutation.networks import NetworkOptions, at_width, trained_networks
from detector.research.permutation.width_claims import width_claims
from detector.research.permutation.width_job import SETS, TRIPLE, Comparison, Triples, triples_job
from detector.research.permutation.width_sections import width_charts, width_sections
from detector.research.permutation.widths import Widths
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.metrics import Estimate
    from detector.research.studies import Workplace
    from detector.training.data import LabelledImages

NAME: Final = "width"
MAX_WIDTH: Final = 4096
MAX_TRIPLES: Final = 100
_SEEDS = TRIPLE * MAX_TRIPLES  # from one seed of the study to the next


@dataclass(frozen=True, kw_only=True, eq=False)
class WidthOptions:
    """What is compared.

    Args:
        images: What networks are trained on and tested with.
        networks: How they are trained.
        widths: Of the networks, rising.
        triples: Of networks at each width, no two of which share one.
        test_share: Of the images, 0..1; no network is trained on them.
        points: Of the grid on a line between two networks, both ends included.
        mixtures: Of three networks that are measured, besides each by itself and their mean.
        matching: How weights are matched.
        seed: Of the split and the networks.

    Raises:
        AnalysisError: A value is out of range.
    """

    images: LabelledImages
    networks: NetworkOptions = field(default_factory=NetworkOptions)
    widths: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    triples: int = 4
    test_share: float = 0.2
    points: int = 11
    mixtures: int = 12
    matching: MatchingOptions = field(default_factory=MatchingOptions)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.widths or list(self.widths) != sorted(set(self.widths)):
            raise AnalysisError(f"widths must rise, not {list(self.widths)}")
        if self.widths[0] < 2 or self.widths[-1] > MAX_WIDTH:  # noqa: PLR2004 - one unit has no permutation
            raise AnalysisError(f"widths must lie in 2..{MAX_WIDTH}, not {list(self.widths)}")
        if not 2 <= self.triples <= MAX_TRIPLES:  # noqa: PLR2004 - without two there is no interval
            raise AnalysisError(f"triples must lie in 2..{MAX_TRIPLES}, not {self.triples}")
        if not 0 < self.test_share < 1 or self.points < 3 or self.mixtures < 1:  # noqa: PLR2004 - something between
            raise AnalysisError("width: test_share must lie between 0 and 1, points be at least 3, mixtures at least 1")

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

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        return {
            **{name: value for name, value in vars(self).items() if name not in {"images", "networks", "matching"}},
            "images": self.images.digest,
            "networks": self.networks.to_json(),
            "matching": asdict(self.matching),
            "widths": list(self.widths),
        }


def study(workplace: Workplace, options: WidthOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few images, training diverges, or the networks have no symmetries.
        CalibrationError: The disk refuses.
    """
    images = options.images
    train, held_out = images.split(round(len(images) * (1 - options.test_share)), options.seed)
    found = []
    for width in options.widths:
        seeds = range(TRIPLE * options.triples)
        recipes = [options.networks.recipe(width, train, options.seed * _SEEDS + seed) for seed in seeds]
        weights = trained_networks(workplace, f"Training, width {width}", recipes, train)
        shared = Triples(recipes[0], train, held_out, options.points, options.mixtures, options.matching, options.seed)
        found.append(
            workplace.done(
                "permutation/triples",
                partial(triples_job, f"Comparing, width {width}", weights, shared),
                recipes=[recipe.to_json() for recipe in recipes],
                held_out=held_out.digest,
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
        figures=_figures(measured),
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
