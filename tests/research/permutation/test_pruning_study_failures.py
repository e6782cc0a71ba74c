from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.errors import AnalysisError
from detector.research.permutation.kernel_study import KernelOptions
from detector.research.permutation.networks import NetworkOptions
from detector.research.permutation.pruning_study import PruningOptions, study
from detector.training.data import LabelledImages
from tests.support.permuting import workplace

if TYPE_CHECKING:
    from pathlib import Path

RNG = np.random.default_rng(0)
IMAGES = LabelledImages(RNG.integers(0, 256, (20, 1, 4, 4), dtype=np.uint8), RNG.integers(0, 2, 20), 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pairs": 1}, r"pairs must lie in 2\.\.100, not 1"),
        ({"pairs": 101}, r"pairs must lie in 2\.\.100"),
        ({"rewind_epochs": 12}, r"rewind_epochs must lie in 0\.\.11, not 12"),
        ({"rewind_epochs": -1}, "rewind_epochs must lie in"),
        ({"levels": 0}, "levels must lie in"),
        ({"share": 1.0}, "share must lie between"),
        ({"test_share": 1.0}, "test_share must lie between 0 and 1"),
        ({"points": 2}, "points be at least 3"),
        ({"measured": 0}, "measured must be at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        PruningOptions(images=IMAGES, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pairs": 1}, r"pairs must lie in 2\.\.100, not 1"),
        ({"test_share": 0.0}, "test_share must lie between 0 and 1"),
        ({"points": 2}, "points be at least 3"),
        ({"measured": 0}, "measured must be at least 1"),
        ({"activations": 0}, "activations must be at least 1"),
    ],
)
def test_kernels_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        KernelOptions(images=IMAGES, **given)


def test_networks_that_are_pruned_until_nothing_is_left_are_told_of(tmp_path: Path) -> None:
    options = PruningOptions(
        images=IMAGES, networks=NetworkOptions(epochs=2), width=2, pairs=2, levels=20, share=0.5, rewind_epochs=0
    )
    with pytest.raises(AnalysisError, match=r"nothing would be left of \d\.weight; ask for fewer levels"):
        study(workplace(tmp_path), options)
