"""What the studies of permutations are told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from detector.research.permutation.guards import quick_benchmark
from detector.research.permutation.kernel_study import KernelOptions
from detector.research.permutation.merging_study import MergingStudyOptions
from detector.research.permutation.networks import NetworkOptions, at_width
from detector.research.permutation.pruning_study import PruningOptions
from detector.research.permutation.trajectory_study import TrajectoryOptions
from detector.research.permutation.width_study import WidthOptions

if TYPE_CHECKING:
    from detector.training.data import LabelledImages


_DOUBLINGS = 2  # of attacks' budgets on grey images, which need more than photographs


class _Sized(Protocol):
    """Options of a study."""

    def small(self) -> Self:
        """The same for seconds."""
        ...


_O = TypeVar("_O", bound=_Sized)


@dataclass(frozen=True, kw_only=True, eq=False)
class PermutationOptions:
    """What all studies of permutations share, and what one of them needs.

    Args:
        images: What networks are trained on and tested with.
        networks: How they are trained.
        widths: Of the networks, rising.
        width: Of those of which one width is studied.
        triples: Of networks at each width.
        points: Of the grid on a line between two networks, both ends included.
        measured: Images of training, and of others, that mixtures are measured on, at most.
        quick: Whether studies take the smallest sizes that still show something.
        seed: Of all that is drawn.

    Raises:
        AnalysisError: A value is out of range.
    """

    images: LabelledImages
    networks: NetworkOptions = field(default_factory=NetworkOptions)
    widths: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    width: int = 128
    triples: int = 4
    points: int = 11
    measured: int = 10_000
    quick: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _ = self.of_widths  # which refuses what it can't use; other studies refuse it when they are done

    def given(self, **values: Any) -> PermutationOptions:
        """The same with those values that are not None."""
        return replace(self, **{name: value for name, value in values.items() if value is not None})

    @property
    def of_widths(self) -> WidthOptions:
        """What is compared at every width."""
        return self._small_or_whole(
            WidthOptions(
                images=self.images,
                networks=self.networks,
                widths=self.widths,
                triples=self.triples,
                points=self.points,
                measured=self.measured,
                seed=self.seed,
            )
        )

    @property
    def of_trajectories(self) -> TrajectoryOptions:
        """What is followed over training."""
        return self._small_or_whole(TrajectoryOptions(**self._of_one_width()))

    @property
    def of_pruning(self) -> PruningOptions:
        """What is pruned."""
        rewind = min(1, self.networks.epochs - 1)
        return self._small_or_whole(PruningOptions(**self._of_one_width(), rewind_epochs=rewind))

    @property
    def of_kernels(self) -> KernelOptions:
        """What is aligned in every way."""
        return self._small_or_whole(KernelOptions(**self._of_one_width()))

    @property
    def of_merging(self) -> MergingStudyOptions:
        """What is merged: networks of the largest width, where it promises most."""
        grey = self.images.shape[0] == 1
        return self._small_or_whole(
            MergingStudyOptions(
                images=self.images,
                architecture=at_width(self.networks.architecture, max(self.widths)),
                epochs=self.networks.epochs,
                learning_rate=self.networks.learning_rate,
                points=self.points,
                guards=quick_benchmark(doublings=_DOUBLINGS if grey else 0, seed=self.seed),
                seed=self.seed,
            )
        )

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        return {
            **{name: value for name, value in vars(self).items() if name not in {"images", "networks"}},
            "widths": list(self.widths),
            **self.networks.to_json(),
        }

    def _of_one_width(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("images", "networks", "width", "points", "measured", "seed")}

    def _small_or_whole(self, whole: _O) -> _O:
        return whole.small() if self.quick else whole
