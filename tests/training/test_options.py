from __future__ import annotations

import pytest

from detector.training.options import PlanOptions


@pytest.mark.parametrize(("epochs", "looked_at"), [(1, (0, 1)), (4, (0, 1, 2, 4)), (6, (0, 1, 2, 4, 6))])
def test_doubling_epochs_are_those_of_the_start_and_the_last(epochs: int, looked_at: tuple[int, ...]) -> None:
    assert PlanOptions(epochs=epochs).doubling_epochs == looked_at
