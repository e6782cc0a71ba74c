"""A network that can be asked what its hidden layers say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.research.representation.layers import Layer


@dataclass(frozen=True, eq=False)
class Said:
    """What a network says of a batch.

    Args:
        hidden: By tensor what was asked for, (N, ...), any float type.
        logits: float32 (N, classes): logits, or log-probabilities of a network that puts out probabilities.
    """

    hidden: Mapping[str, NDArray[Any]]
    logits: Float32Array


class Layered(Protocol):
    """A network and its layers."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Its hidden layers, by rising depth."""
        ...

    @property
    def classes(self) -> int:
        """How many it tells apart."""
        ...

    @property
    def most(self) -> int:
        """Images that it takes at once, at most."""
        ...

    def say(self, images: Float32Array, layers: Sequence[Layer]) -> Said:
        """Ask it.

        Args:
            images: float32 (N, channels, height, width), canonical: values in [0, 1]; N up to `most`.
            layers: Which of its layers are wanted.

        Raises:
            ClassifierError, AnalysisError: It fails on them.
        """
        ...
