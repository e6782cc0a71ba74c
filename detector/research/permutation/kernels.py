"""How alike two units are, by rows of numbers that belong to each."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Kernel(StrEnum):
    """The inner product of two rows, the cosine between them, or their correlation."""

    LINEAR = "linear"
    COSINE = "cosine"
    CORRELATION = "correlation"


class Likeness:
    """How alike each unit of one network is to each of another, of rows that come in batches.

    Args:
        units: How many each has.
        kernel: Of all their rows together.
    """

    def __init__(self, units: int, kernel: Kernel) -> None:
        self._kernel = kernel
        self._products = torch.zeros(units, units, dtype=torch.float64)
        self._sums = [torch.zeros(units, dtype=torch.float64) for _ in range(2)]
        self._squares = [torch.zeros(units, dtype=torch.float64) for _ in range(2)]
        self._count = 0

    def add(self, one: Tensor, other: Tensor) -> None:
        """Take in more of the rows of both: (units, n)."""
        rows = [each.double() for each in (one, other)]
        self._products += (rows[0] @ rows[1].T).cpu()
        self._count += one.shape[1]
        for place, each in enumerate(rows):
            self._sums[place] += each.sum(1).cpu()
            self._squares[place] += each.square().sum(1).cpu()

    @property
    def gram(self) -> Tensor:
        """float64 (units, units): the first network's units down, the second's across. A row of zeros is like none."""
        products, squares = self._products, self._squares
        if self._kernel is Kernel.LINEAR:
            return products
        if self._kernel is Kernel.CORRELATION:
            products = products - torch.outer(*self._sums) / self._count
            squares = [square - total.square() / self._count for square, total in zip(squares, self._sums, strict=True)]
        lengths = [square.clamp_min(0).sqrt() for square in squares]
        scale = torch.outer(*lengths)
        return torch.where(scale == 0, 0.0, products / scale.clamp_min(torch.finfo(torch.float64).tiny))
