from __future__ import annotations

import pytest

from detector.errors import CalibrationError
from detector.strata import MAX_STRATA, Strata


@pytest.mark.parametrize("edges", [(1.0, 1.0), (2.0, 1.0), (float("nan"),), (float("inf"),), (0.1,), (1e300,)])
def test_edges_must_be_finite_single_precision_and_rise(edges: tuple[float, ...]) -> None:
    with pytest.raises(CalibrationError, match="edges must be finite float32 numbers that rise"):
        Strata(edges)


def test_there_is_a_limit_to_strata() -> None:
    assert Strata(tuple(float(edge) for edge in range(MAX_STRATA - 1))).count == MAX_STRATA
    with pytest.raises(CalibrationError, match=f"at most {MAX_STRATA} strata, not {MAX_STRATA + 1}"):
        Strata(tuple(float(edge) for edge in range(MAX_STRATA)))
