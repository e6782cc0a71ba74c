"""The study of kernels: which way of matching units leaves the lowest barrier between the same networks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from detector.errors import AnalysisError
from detector.research.permutation.kernel_job import METHODS, Alignments, kernels_job
from detector.research.permutation.kernel_sections import Aligned, kernel_charts, kernel_claims, kernel_section
from detector.research.permutation.measuring import Setting
from detector.research.permutation.networks import NetworkOptions, trained_networks
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.research.studies import Workplace
    from detector.training.data import LabelledImages

NAME: Final = "kernels"
MAX_PAIRS: Final = 100
_LEAST_PAIRS = 2  # without two there is no interval
_LEAST_POINTS = 3
_SEEDS = 2 * MAX_PAIRS  # from one seed of the study to the next


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelOptions:
    """What is aligned and compared.

    Args:
        images: What networks are trained on and tested with.
        networks: How they are trained.
        width: Of them.
        pairs: Of networks, no two of which share one.
        activations: Images of training whose activations are matched, at most.
        test_share: Of the images, 0..1; no network is trained on them.
        points: Of the grid on a line between two networks, both ends included.
        measured: Images of training, and of others, that barriers are measured on, at most.
        seed: Of the split and the networks.

    Raises:
        AnalysisError: A value is out of range.
    """

    images: LabelledImages
    networks: NetworkOptions = field(default_factory=NetworkOptions)
    width: int = 64
    pairs: int = 5
    activations: int = 10_000
    test_share: float = 0.2
    points: int = 25
    measured: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not _LEAST_PAIRS <= self.pairs <= MAX_PAIRS:
            raise AnalysisError(f"pairs must lie in {_LEAST_PAIRS}..{MAX_PAIRS}, not {self.pairs}")
        if not 0 < self.test_share < 1 or self.points < _LEAST_POINTS or min(self.measured, self.activations) < 1:
            raise AnalysisError(
                f"kernels: test_share must lie between 0 and 1, points be at least {_LEAST_POINTS}, measured and "
                "activations at least 1"
            )

    def small(self) -> KernelOptions:
        """The same for seconds: two pairs, trained shortly."""
        return replace(
            self,
            networks=replace(self.networks, epochs=min(self.networks.epochs, 4)),
            pairs=2,
            points=5,
            activations=min(self.activations, 1000),
            measured=min(self.measured, 1000),
        )

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        return {**vars(self), "images": self.images.digest, "networks": self.networks.to_json()}


def study(workplace: Workplace, options: KernelOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked.
        options: How.

    Raises:
        AnalysisError: There are too few images, training diverges, or the networks have no symmetries, or units that
            show in no activation.
        CalibrationError: The disk refuses.
    """
    images = options.images
    train, held_out = images.split(round(len(images) * (1 - options.test_share)), options.seed)
    seeds = (options.seed * _SEEDS + number for number in range(2 * options.pairs))
    recipes = [options.networks.recipe(options.width, train, seed) for seed in seeds]
    weights = trained_networks(workplace, "Training networks to align", recipes, train)
    setting = Setting(recipes[0], train.head(options.measured), held_out.head(options.measured), options.points)
    shared = Alignments(setting, train.head(options.activations), options.seed)
    arrays = workplace.done(
        "permutation/kernels",
        lambda: kernels_job("Aligning networks in every way", weights, shared),
        recipes=[recipe.to_json() for recipe in recipes],
        **setting.to_json(),
        methods=[asdict(method) for method in METHODS],
        activations=shared.activations.digest,
        seed=options.seed,
    )
    what = (
        f"{options.pairs} pairs of {recipes[0].architecture}, {options.networks.epochs} epochs on {len(train)} images"
    )
    found = Aligned(what, arrays)
    charts = kernel_charts(found)
    return Study(
        name=NAME,
        figures=found.figures(),
        arrays=arrays,
        sections=(kernel_section(found, charts),),
        charts=charts,
        claims=kernel_claims(found),
    )
