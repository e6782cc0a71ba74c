from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from detector.classifiers.base import ImageSpec, OutputKind, PixelType
from detector.classifiers.torch import TorchClassifier
from detector.errors import AnalysisError, ClassifierError, GradientsUnavailableError
from detector.paths.bypass import BypassOptions, bypass
from detector.paths.chains import ChainOptions, connect
from detector.paths.curves import loss_curves
from tests.support.tiny import TINY_SPEC, tiny_module, tiny_torch
from tests.support.walking import random_pairs


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("nearness", -0.1),
        ("smoothness", -1.0),
        ("smoothness", float("nan")),
        ("stop_loss", -1.0),
        ("stop_loss", float("inf")),
    ],
)
def test_bypasses_out_of_range_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(AnalysisError, match=field):
        BypassOptions(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epsilon", -0.1),
        ("epsilon", float("nan")),
        ("rounds", -1),
        ("rounds", 9),
        ("points", 2),
        ("segment_points", 2),
    ],
)
def test_chains_out_of_range_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(AnalysisError, match=field):
        ChainOptions(**{field: value})


def test_bypasses_go_on_below_epsilon() -> None:
    with pytest.raises(AnalysisError, match="stop_loss"):
        ChainOptions(epsilon=0.01, bypass=BypassOptions(stop_loss=0.01))
    ChainOptions(epsilon=0, bypass=BypassOptions(stop_loss=0.01))  # every segment is bypassed, whatever it is


def test_a_path_has_two_ends() -> None:
    pairs = random_pairs(2)
    with pytest.raises(AnalysisError, match="points: a path has at least its 2 ends, not 1"):
        loss_curves(tiny_torch(), pairs.starts, pairs.ends, pairs.classes, points=1)


def test_bypasses_need_gradients_and_straight_paths_do_not() -> None:
    pairs = random_pairs(2)
    given = (pairs.starts, pairs.ends, pairs.classes)
    with pytest.raises(GradientsUnavailableError, match="rounds=0 measures straight ones"):
        connect(tiny_torch(), None, *given, options=ChainOptions(rounds=1))
    connect(tiny_torch(), None, *given, options=ChainOptions(rounds=0))


def test_a_classifier_of_whole_levels_has_no_gradients() -> None:
    whole = TorchClassifier(_Levels(), ImageSpec(height=12, width=10, dtype=PixelType.UINT8, value_range=(0, 255)))
    pairs = random_pairs(2)
    with pytest.raises(GradientsUnavailableError, match="uint8"):
        connect(whole, whole, pairs.starts, pairs.ends, pairs.classes, options=ChainOptions(epsilon=0))


def test_a_loss_that_is_no_number_is_refused() -> None:
    nowhere = TorchClassifier(_NanAbove(), TINY_SPEC, output_kind=OutputKind.LOGITS, name="half a network")
    bright = np.ones((2, *TINY_SPEC.shape), np.float32)
    classes = np.zeros(2, np.int64)
    with pytest.raises(ClassifierError, match="half a network"):
        loss_curves(nowhere, bright, bright, classes, points=5)
    with pytest.raises(ClassifierError, match=r"half a network.*not finite"):
        bypass(nowhere, bright, bright, classes, BypassOptions(steps=2))


def test_a_point_that_leaves_the_numbers_is_kept_where_it_had_one() -> None:
    nowhere = TorchClassifier(_NanAbove(), TINY_SPEC, output_kind=OutputKind.LOGITS)
    grey = np.full((2, *TINY_SPEC.shape), 0.5, np.float32)
    found = bypass(nowhere, grey, np.zeros_like(grey), np.zeros(2, np.int64), BypassOptions(learning_rate=0.9, steps=5))
    assert np.isfinite(found.points).all()
    assert np.isfinite(found.losses).all()


class _Levels(nn.Module):
    """A classifier of whole levels."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny_module()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(images.float() / 255)
        return logits


class _NanAbove(nn.Module):
    """Fails where images are far from grey."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny_module()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.net(images)
        # Probes of a new classifier are noise, whose mean is grey too.
        return torch.where((images.flatten(1).mean(1) - 0.5).abs()[:, None] > 0.4, torch.nan, logits)
