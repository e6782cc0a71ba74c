"""What is known of examples after each checkpoint, without keeping what was seen at the ones before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Moments:
    """Mean and variance of arrays of one shape, seen one after the other (Welford, Technometrics 1962).

    Args:
        shape: Of each.
        dtype: Of what is kept; float32 halves the memory of large ones.
    """

    def __init__(self, shape: tuple[int, ...], dtype: type[np.floating] = np.float64) -> None:
        self.count = 0
        self._mean = np.zeros(shape, dtype)
        self._squares = np.zeros(shape, dtype)

    def add(self, values: NDArray[np.floating]) -> None:
        """See one more."""
        self.count += 1
        away = values - self._mean
        self._mean += away / self.count
        self._squares += away * (values - self._mean)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Of those seen.

        Raises:
            AnalysisError: None was seen.
        """
        self._enough(1)
        return self._mean.astype(np.float64)

    @property
    def variance(self) -> NDArray[np.float64]:
        """Of those seen, by one less than their number.

        Raises:
            AnalysisError: Fewer than two were seen, so there is none.
        """
        self._enough(2)
        return self._squares.astype(np.float64) / (self.count - 1)

    def _enough(self, least: int) -> None:
        if self.count < least:
            raise AnalysisError(f"difficulty: {least} checkpoints or more are needed, and {self.count} were seen")


class Forgetting:
    """When examples are learnt and forgotten, from whether the network is right at each checkpoint, one by one.

    Before the first checkpoint nothing is known: a_0 = 0. A sequence of pruning levels starts from a network that knows
    everything; what holds of forgetting over training holds of it with right and wrong exchanged (`Losing`).

    Args:
        examples: How many.
    """

    def __init__(self, examples: int) -> None:
        self._seen = 0
        self._right = np.zeros(examples, bool)
        self._forgotten = np.zeros(examples, np.int64)
        self._first = np.full(examples, -1)
        self._since = np.zeros(examples, np.int64)  # the checkpoints before those that are all right, up to now

    def add(self, right: NDArray[np.bool_]) -> None:
        """See one more checkpoint: bool (examples,)."""
        self._forgotten += self._right & ~right
        self._first = np.where((self._first < 0) & right, self._seen, self._first)
        self._seen += 1
        self._since = np.where(right, self._since, self._seen)
        self._right = right.copy()

    @property
    def ever(self) -> NDArray[np.bool_]:
        """Which examples were right at some checkpoint, (examples,)."""
        return self._first >= 0

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """The raw scores of `FORGETTING` by name, float64 (examples,), counted in checkpoints.

        Raises:
            AnalysisError: No checkpoint was seen.
        """
        if not self._seen:
            raise AnalysisError("difficulty: 1 checkpoints or more are needed, and 0 were seen")
        return {
            "countforget": self._forgotten.astype(np.float64),
            "firstlearn": np.where(self.ever, self._first, self._seen).astype(np.float64),
            "firstunforgettable": self._since.astype(np.float64),
            "unforgettable": (self.ever & (self._forgotten == 0)).astype(np.float64),
        }


class Losing:
    """When examples are lost to pruning, from whether the network is right at each level, one after the other.

    The dense network is thought to know everything, a_0 = 1, so that an example it never learnt is lost at once.

    Args:
        examples: How many.
    """

    def __init__(self, examples: int) -> None:
        self._mirror = Forgetting(examples)

    def add(self, right: NDArray[np.bool_]) -> None:
        """See one more level: bool (examples,)."""
        self._mirror.add(~right)

    def scores(self) -> dict[str, NDArray[np.float64]]:
        """The raw scores of `PRUNING` by name, float64 (examples,), counted in levels.

        Raises:
            AnalysisError: No level was seen.
        """
        found = self._mirror.scores()
        return {"firstforget": found["firstlearn"], "firstunlearnable": found["firstunforgettable"]}
