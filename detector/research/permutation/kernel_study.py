"""The study of kernels: which way of matching units leaves the lowest barrier between the same networks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from detector.errors import AnalysisError
from detector.research.networks import trained_networks
from detector.research.permutation.kernel_job import METHODS, Alignments, kernels_job
from detector.research.permutation.kernel_sections import Aligned, kernel_charts, kernel_claims, kernel_section
from detector.research.permutation.pair_options import PairOptions
from detector.research.studies import Study

if TYPE_CHECKING:
    from detector.research.studies import Workplace

NAME: Final = "kernels"


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelOptions(PairOptions):
    """What is aligned and compared; of `matching` kernel, vectors and restarts are what is compared.

    Args:
        activations: Images of training whose activations are matched, at most.

    Raises:
        AnalysisError: A value is out of range.
    """

    width: int = 64
    pairs: int = 5
    activations: int = 10_000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activations < 1:
            raise AnalysisError(f"activations must be at least 1, not {self.activations}")

    def small(self) -> Self:
        """The same for seconds: two pairs, trained shortly."""
        return replace(super().small(), activations=min(self.activations, 1000))


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
    train, held_out = options.split()
    recipes = options.recipes(train)
    weights = trained_networks(workplace, "Training networks to align", recipes, train)
    setting = options.setting(train, held_out)
    shared = Alignments(setting, train.head(options.activations), options.matching)
    arrays = workplace.done(
        "permutation/kernels",
        lambda: kernels_job("Aligning networks in every way", weights, shared),
        recipes=[recipe.to_json() for recipe in recipes],
        **setting.to_json(),
        methods=[asdict(method) for method in METHODS],
        activations=shared.activations.digest,
        matching=asdict(options.matching),
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
