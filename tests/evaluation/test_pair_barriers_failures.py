from __future__ import annotations

import numpy as np
import pytest

from detector.errors import DataError
from detector.evaluation.pair_barriers import compare_pairs
from tests.support.formulas import one_pixel, two_classes


def test_nothing_to_compare_to_is_refused() -> None:
    """Two images of class 0, one of which is taken for class 1."""
    classifier = two_classes(lambda pixels: pixels - 0.5)
    with pytest.raises(DataError, match="no two of one class"):
        compare_pairs(classifier, one_pixel(0, 1), np.zeros(2, np.int64), {}, 0)
