"""The words of a training plan, apart from all that needs torch: a command line says them at once."""

from __future__ import annotations

from enum import StrEnum


class OptimiserKind(StrEnum):
    """Whose steps are taken."""

    SGD = "sgd"
    ADAM = "adam"
    ADAMW = "adamw"


class ScheduleKind(StrEnum):
    """How the learning rate changes over the steps.

    CONSTANT: it does not, but for the warm-up. MILESTONES: it falls by a factor at given steps. COSINE: it falls to
    nothing along half a cosine. ONE_CYCLE: PyTorch's `OneCycleLR`, which has a warm-up of its own and turns the
    momentum the other way.
    """

    CONSTANT = "constant"
    MILESTONES = "milestones"
    COSINE = "cosine"
    ONE_CYCLE = "one-cycle"


class Sampling(StrEnum):
    """Which examples a step sees.

    EPOCHS: every example once before any is seen again; the last batch of an epoch may be short. REPLACEMENT: any,
    drawn anew for every step.
    """

    EPOCHS = "epochs"
    REPLACEMENT = "replacement"
