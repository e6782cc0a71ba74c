from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.errors import CalibrationError
from detector.verdicts import TargetRates, Verdict

SEVERITY = {Verdict.BENIGN: 0, Verdict.SUSPECT: 1, Verdict.ADVERSARIAL: 2}


def test_a_p_value_at_its_target_rate_is_flagged() -> None:
    p_values = np.array([1.0, 0.0501, 0.05, 0.0101, 0.01, 1e-9])
    assert TargetRates().verdicts(p_values) == (
        Verdict.BENIGN,
        Verdict.BENIGN,
        Verdict.SUSPECT,
        Verdict.SUSPECT,
        Verdict.ADVERSARIAL,
        Verdict.ADVERSARIAL,
    )


def test_no_images_have_no_verdicts() -> None:
    assert TargetRates().verdicts(np.empty(0)) == ()


@given(st.lists(st.floats(1e-9, 1), min_size=2, max_size=50), st.floats(0.001, 0.4), st.floats(0.41, 0.99))
def test_a_smaller_p_value_never_gets_a_milder_verdict(p_values: list[float], low: float, high: float) -> None:
    verdicts = TargetRates(suspect=high, adversarial=low).verdicts(np.sort(p_values))
    assert all(SEVERITY[a] >= SEVERITY[b] for a, b in pairwise(verdicts))
    flagged = sum(v is not Verdict.BENIGN for v in verdicts)
    assert flagged == sum(p <= high for p in p_values)


NAN = float("nan")


@pytest.mark.parametrize(
    ("suspect", "adversarial"),
    [(0.05, 0.05), (0.01, 0.05), (0.05, 0.0), (1.0, 0.01), (0.05, -0.01), (NAN, 0.01), (0.05, NAN)],
)
def test_rates_out_of_order_are_refused(suspect: float, adversarial: float) -> None:
    with pytest.raises(CalibrationError, match="0 < adversarial < suspect < 1"):
        TargetRates(suspect=suspect, adversarial=adversarial)
