"""How a network is trained: everything the trained weights follow from, apart from where they start and the data."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch.optim.lr_scheduler import OneCycleLR

from detector.errors import AnalysisError
from detector.training.kinds import OptimiserKind, Sampling, ScheduleKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

MAX_STEPS = 10_000_000
MAX_BATCH = 65_536
MAX_LEVEL = 255
MAX_ATTACK_STEPS = 1000


@dataclass(frozen=True, kw_only=True)
class Optimiser:
    """Whose steps are taken, and how large.

    Args:
        kind: Which.
        learning_rate: Its largest, where the schedule changes it.
        momentum: Of SGD.
        weight_decay: Decoupled from the gradient for AdamW, added to it for the others; as PyTorch has it.

    Raises:
        AnalysisError: A value is out of range.
    """

    kind: OptimiserKind = OptimiserKind.ADAM
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if not self.learning_rate > 0 or not 0 <= self.momentum < 1 or not self.weight_decay >= 0:
            raise AnalysisError(
                "training: learning_rate must be above 0, momentum in 0..1 (below 1), weight_decay not negative"
            )

    def over(self, parameters: Iterable[Tensor]) -> torch.optim.Optimizer:
        """The optimiser of some parameters."""
        rate, decay = self.learning_rate, self.weight_decay
        match self.kind:
            case OptimiserKind.SGD:
                return torch.optim.SGD(parameters, lr=rate, momentum=self.momentum, weight_decay=decay)
            case OptimiserKind.ADAM:
                return torch.optim.Adam(parameters, lr=rate, weight_decay=decay)
            case OptimiserKind.ADAMW:
                return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How the learning rate changes over the steps.

    Args:
        kind: Which.
        warm_up: Steps over which it rises evenly from nothing; 0 for none. ONE_CYCLE has its own.
        milestones: The steps, rising, from which on it is smaller, for MILESTONES.
        factor: By how much each time.

    Raises:
        AnalysisError: A value is out of range, or contradicts the kind.
    """

    kind: ScheduleKind = ScheduleKind.CONSTANT
    warm_up: int = 0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1

    def __post_init__(self) -> None:
        if self.warm_up < 0 or not 0 < self.factor <= 1:
            raise AnalysisError("training: warm_up must not be negative, factor in 0..1 (above 0)")
        if bool(self.milestones) != (self.kind is ScheduleKind.MILESTONES):
            raise AnalysisError(f"training: milestones belong to the schedule 'milestones', not to '{self.kind}'")
        if list(self.milestones) != sorted(set(self.milestones)):
            raise AnalysisError(f"training: milestones must rise, not {self.milestones}")
        if self.warm_up and self.kind is ScheduleKind.ONE_CYCLE:
            raise AnalysisError("training: the schedule 'one-cycle' has a warm-up of its own")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How images are changed before the network sees them, at every step anew.

    Args:
        shift: Most pixels an image is moved along either axis, black coming in; 0 for none.
        together: Whether all images of a batch are moved alike, which is faster.
        flips: Whether half of the images are mirrored, which photographs bear and writing does not.

    Raises:
        AnalysisError: `shift` is negative.
    """

    shift: int = 0
    together: bool = False
    flips: bool = False

    def __post_init__(self) -> None:
        if self.shift < 0:
            raise AnalysisError(f"training: shift must not be negative, not {self.shift}")


@dataclass(frozen=True, kw_only=True)
class Adversary:
    """Who moves images against the network while it learns.

    Args:
        level: Most by which a pixel is changed (L-infinity), in 255ths of the range from black to white: above 0, at
            most 255.
        steps: Gradient steps of each attack, from a random start; each takes a forward and a backward pass more.
        ramp: Steps of the training over which the level rises evenly from nothing; 0 for none. Without one, a network
            that withstood nothing before may fall to the same answer for every image, and stay there.

    Raises:
        AnalysisError: A value is out of range.
    """

    level: float
    steps: int = 1
    ramp: int = 0

    def __post_init__(self) -> None:
        if self.ramp < 0:
            raise AnalysisError(f"training: an adversary's ramp must not be negative, not {self.ramp}")
        if not 0 < self.level <= MAX_LEVEL or not 1 <= self.steps <= MAX_ATTACK_STEPS:
            raise AnalysisError(
                f"training: an adversary's level must lie in 0..{MAX_LEVEL} (above 0), its steps in "
                f"1..{MAX_ATTACK_STEPS}, not {self.level} and {self.steps}"
            )

    def level_at(self, step: int) -> float:
        """The level at a step of the training, the first being 0; in 255ths."""
        return self.level * min(1.0, (step + 1) / self.ramp) if self.ramp else self.level


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How a network is trained.

    Args:
        optimiser: Whose steps are taken.
        schedule: How the learning rate changes.
        steps: How many are taken.
        batch: Examples of a step.
        sampling: Which examples.
        augmentation: How images are changed.
        adversary: Who moves them then against the network; None for nobody.

    Raises:
        AnalysisError: A value is out of range.
    """

    optimiser: Optimiser = field(default_factory=Optimiser)
    schedule: Schedule = field(default_factory=Schedule)
    steps: int = 300
    batch: int = 128
    sampling: Sampling = Sampling.EPOCHS
    augmentation: Augmentation = field(default_factory=Augmentation)
    adversary: Adversary | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MAX_STEPS or not 1 <= self.batch <= MAX_BATCH:
            raise AnalysisError(f"training: steps must lie in 1..{MAX_STEPS}, batch in 1..{MAX_BATCH}")


@dataclass(frozen=True)
class StepSize:
    """What the schedule sets for one step.

    Args:
        rate: The learning rate.
        momentum: SGD's momentum or Adam's first beta; None leaves it.
    """

    rate: float
    momentum: float | None = None


def step_sizes(plan: TrainingPlan) -> list[StepSize]:
    """The schedule, step by step: known from the start, so that there is nothing to keep of it when training stops."""
    peak, schedule, steps = plan.optimiser.learning_rate, plan.schedule, range(plan.steps)
    if schedule.kind is ScheduleKind.ONE_CYCLE:
        return _one_cycle(plan)
    rates = (peak * _share(schedule, step, plan.steps) for step in steps)
    warm = (min(1.0, (step + 1) / schedule.warm_up) if schedule.warm_up else 1.0 for step in steps)
    return [StepSize(rate * part) for rate, part in zip(rates, warm, strict=True)]


def _share(schedule: Schedule, step: int, steps: int) -> float:
    """Of the largest learning rate, without the warm-up."""
    match schedule.kind:
        case ScheduleKind.MILESTONES:
            return float(schedule.factor ** sum(step >= milestone for milestone in schedule.milestones))
        case ScheduleKind.COSINE:
            return 0.5 + 0.5 * math.cos(math.pi * step / steps)
        case _:
            return 1.0


def _one_cycle(plan: TrainingPlan) -> list[StepSize]:
    """Read off PyTorch's own, over an optimiser of nothing."""
    optimiser = plan.optimiser.over([torch.zeros(1, requires_grad=True)])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")  # nothing is optimised
        cycle = OneCycleLR(optimiser, plan.optimiser.learning_rate, total_steps=plan.steps)
        sizes = []
        for step in range(plan.steps):
            (group,) = optimiser.param_groups
            momentum = group["betas"][0] if "betas" in group else group["momentum"]
            sizes.append(StepSize(group["lr"], momentum))
            if step + 1 < plan.steps:
                cycle.step()
    return sizes


def set_step_size(optimiser: torch.optim.Optimizer, size: StepSize) -> None:
    """Let the next step be of a size."""
    for group in optimiser.param_groups:
        group["lr"] = size.rate
        if size.momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (size.momentum, group["betas"][1])
        else:
            group["momentum"] = size.momentum
