from __future__ import annotations

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.paths.samples import BarrierSample

CLASSES = np.zeros(2, np.int64)
LOW = np.array([0.1, 0.2])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.5])
def test_a_loss_that_is_no_number_is_named_by_its_pair(bad: float) -> None:
    with pytest.raises(AnalysisError, match=r"pair 1 has .*, not a finite loss"):
        BarrierSample(CLASSES, LOW, LOW, np.array([1, bad]))


def test_a_path_below_its_end_is_refused() -> None:
    with pytest.raises(AnalysisError, match="pair 0 has a largest loss below that of its end"):
        BarrierSample(CLASSES, LOW, LOW, np.array([0.05, 1]))


def test_one_value_for_each_pair_is_asked_for() -> None:
    with pytest.raises(AnalysisError, match="one value of each"):
        BarrierSample(CLASSES, LOW, LOW[:1], LOW)
