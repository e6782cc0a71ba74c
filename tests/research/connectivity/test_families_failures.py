from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from detector.errors import AnalysisError, ClassifierError, GradientsUnavailableError
from detector.research.connectivity.families import FitOptions, Groups, fit, fit_job
from detector.research.connectivity.shapes import Polyline
from detector.shards.base import LocalRunner, Models
from detector.shards.jobs import run_jobs
from tests.support.calibrating import Recorder
from tests.support.walking import field, points

ACROSS = Groups(points((0, 0.5, 0.5), (1, 0.5, 0.5))[None], np.array([0]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", -1), ("samples", 0), ("learning_rate", 0.0), ("learning_rate", float("nan")), ("sharpness", -1.0)],
)
def test_options_out_of_range_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(AnalysisError, match=name):
        FitOptions(**{name: value})


def test_there_is_something_to_join() -> None:
    with pytest.raises(AnalysisError, match="groups: there is none"):
        fit_job("Fitting", ACROSS[:0], Polyline(1), FitOptions(), 5)


def test_fitting_needs_gradients() -> None:
    job = fit_job("Fitting", ACROSS, Polyline(1), FitOptions(steps=1), 5)
    classifier = field(lambda x: x.sum(1))
    with pytest.raises(GradientsUnavailableError, match="without gradients"):
        list(run_jobs([job], LocalRunner(Models(classifier, None)), Recorder()))


def test_a_loss_that_is_never_a_number_is_refused() -> None:
    classifier = field(lambda x: torch.where(x[:, 1] == 0.5, torch.nan, x[:, 0]))  # on all of the way, and nowhere else
    with pytest.raises(ClassifierError, match=r"field.*not finite"):
        fit(classifier, ACROSS, Polyline(1), FitOptions(steps=2))
