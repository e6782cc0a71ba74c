"""What is attacked: a classifier that can be differentiated, images, and the classes they are to leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.classifiers.base import Float32Array
from detector.errors import InvalidInputError

if TYPE_CHECKING:
    from detector.classifiers.torch import TorchClassifier

Int64Array = NDArray[np.int64]
Attack = Callable[[Float32Array, Int64Array], Float32Array]
"""An attack ready to run: canonical images (N, channels, height, width), and for each the class to leave, or for a
targeted attack the class to reach; gives the images moved, not yet rounded."""


@dataclass(frozen=True, eq=False)
class AttackTarget:
    """What an attack is run on.

    Args:
        gradients: Answers like the classifier under attack, and has gradients.
        images: float32 (N, channels, height, width), canonical.
        labels: int64 (N,), the classes of `images`.
        surrogate: What a transfer attack is made on; the attacker's own (see `surrogate.py`).

    Raises:
        InvalidInputError: The images don't fit the classifier, or there is not one label for each.
    """

    gradients: TorchClassifier
    images: Float32Array
    labels: Int64Array
    surrogate: TorchClassifier | None = None

    def __post_init__(self) -> None:
        shape = self.gradients.spec.shape
        if self.images.dtype != np.float32 or self.images.shape[1:] != shape:
            raise InvalidInputError(
                f"float32 (N, {', '.join(map(str, shape))}) expected, not {self.images.dtype} {self.images.shape}",
                field="images",
            )
        if self.labels.shape != self.images.shape[:1]:
            raise InvalidInputError(
                f"one for each of {len(self.images)} images expected, not {self.labels.shape}", field="labels"
            )
        if self.surrogate is not None and self.surrogate.spec.shape != shape:
            raise InvalidInputError(f"takes images {self.surrogate.spec.shape}, not {shape}", field="surrogate")

    def first(self, count: int) -> AttackTarget:
        """The same with its first images alone."""
        return replace(self, images=self.images[:count], labels=self.labels[:count])
