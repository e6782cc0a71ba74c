from __future__ import annotations

import numpy as np
import pytest

from detector.errors import DataError
from detector.evaluation.unattacked import mixed_pairs


def test_one_class_cannot_be_mixed() -> None:
    with pytest.raises(DataError, match="labels"):
        mixed_pairs(np.zeros((4, 1, 2, 2), np.float32), np.ones(4, np.int64), 0)
