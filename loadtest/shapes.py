"""How many users there are at what time: steps, spikes, soak."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_RAMP: Final = 0.1
"""Of a soak's time, in which its users come."""


class ShapeName(StrEnum):
    """The shapes there are."""

    CONSTANT = "constant"
    STEPS = "steps"
    SPIKES = "spikes"
    SOAK = "soak"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A load over time.

    Args:
        users: At the top of the steps, between the spikes, or of the soak.
        seconds: How long it takes.
        steps: How many steps there are.
        spike_every: Seconds from one spike to the next; the first comes after as many.
        spike_seconds: How long each lasts.
        spike_factor: How many times the users there are meanwhile.
    """

    users: int
    seconds: float
    steps: int = 5
    spike_every: float = 20.0
    spike_seconds: float = 5.0
    spike_factor: float = 4.0

    def users_at(self, name: ShapeName, time: float) -> int | None:
        """How many users there are, at least one; None when it is over.

        Args:
            name: Of the shape.
            time: Seconds from the beginning.
        """
        return None if time >= self.seconds else max(1, round(_SHAPES[name](self, time)))


def _constant(shape: Shape, _time: float) -> float:
    return shape.users


def _steps(shape: Shape, time: float) -> float:
    return shape.users * (1 + int(time / shape.seconds * shape.steps)) / shape.steps


def _spikes(shape: Shape, time: float) -> float:
    of_spike = time >= shape.spike_every and time % shape.spike_every < shape.spike_seconds
    return shape.users * (shape.spike_factor if of_spike else 1)


def _soak(shape: Shape, time: float) -> float:
    return shape.users * min(1.0, time / (_RAMP * shape.seconds))


_SHAPES: Final[dict[ShapeName, Callable[[Shape, float], float]]] = {
    ShapeName.CONSTANT: _constant,
    ShapeName.STEPS: _steps,
    ShapeName.SPIKES: _spikes,
    ShapeName.SOAK: _soak,
}
