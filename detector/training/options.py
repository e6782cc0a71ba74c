"""How the networks of an analysis are trained, in the few numbers that its caller may choose."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from detector.errors import AnalysisError
from detector.training.kinds import OptimiserKind, ScheduleKind
from detector.training.plan import Augmentation, Optimiser, Schedule, TrainingPlan

if TYPE_CHECKING:
    from detector.training.data import LabelledImages

MAX_EPOCHS: Final = 1000
_WARM_UP = 0.05  # of the steps
_SHIFTED = 8  # of an image's side, by one part in as many


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """How networks are trained that are compared afterwards.

    The rate rises over the first twentieth of the steps and then falls along a cosine.

    Args:
        epochs: Times every image is seen.
        learning_rate: The largest.
        optimiser: Whose steps are taken.
        momentum: Of SGD; others have none to choose.
        weight_decay: As PyTorch has it.
        batch: Images of a step.
        augment: Whether images are moved by up to an eighth of their side and half of them mirrored, as photographs
            bear it.

    Raises:
        AnalysisError: A value is out of range.
    """

    epochs: int = 12
    learning_rate: float = 0.1
    optimiser: OptimiserKind = OptimiserKind.SGD
    momentum: float = 0.9
    weight_decay: float = 1e-4
    batch: int = 128
    augment: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.epochs <= MAX_EPOCHS:
            raise AnalysisError(f"epochs must lie in 1..{MAX_EPOCHS}, not {self.epochs}")
        self._optimiser()  # which refuses what it can't use

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready."""
        return asdict(self)

    def epoch_steps(self, images: LabelledImages) -> int:
        """Steps of one epoch on some images."""
        return -(-len(images) // self.batch)

    @property
    def doubling_epochs(self) -> tuple[int, ...]:
        """Epochs 0, 1, 2, 4, ... and the last: where training is looked at that changes most at its start."""
        return tuple(sorted({0, self.epochs, *(2**power for power in range(self.epochs.bit_length()))}))

    def plan(self, images: LabelledImages) -> TrainingPlan:
        """How networks are trained on some images.

        Raises:
            AnalysisError: Too many steps.
        """
        steps = self.epochs * self.epoch_steps(images)
        return TrainingPlan(
            optimiser=self._optimiser(),
            schedule=Schedule(kind=ScheduleKind.COSINE, warm_up=round(_WARM_UP * steps)),
            steps=steps,
            batch=self.batch,
            augmentation=Augmentation(shift=min(images.shape[1:]) // _SHIFTED, flips=True)
            if self.augment
            else Augmentation(),
        )

    def _optimiser(self) -> Optimiser:
        return Optimiser(
            kind=self.optimiser,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
