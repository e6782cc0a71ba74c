"""Options and a workplace for tests of difficulty."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from detector.embedded import labelled_digits
from detector.progress import Silence
from detector.research.difficulty.options import DifficultyOptions
from detector.research.studies import Workplace
from detector.shards.base import LocalRunner
from detector.shards.stages import StageStore
from detector.training.options import PlanOptions

if TYPE_CHECKING:
    from pathlib import Path

    from detector.training.data import LabelledImages


@cache
def digits(count: int = 300) -> LabelledImages:
    """The first of them."""
    return labelled_digits().head(count)


def small(**values: Any) -> DifficultyOptions:
    """Two small networks, three runs each, four epochs; 300 digits."""
    usual: dict[str, Any] = {
        "images": digits(),
        "architectures": ("mlp-16", "flatcnn-4"),
        "training": PlanOptions(epochs=4, learning_rate=0.05, batch=32),
        "runs": 3,
        "gradients": 2,
        "probes": 100,
    }
    return DifficultyOptions(**usual | values)


def workplace(folder: Path, runner: Any = None) -> Workplace:
    """One that keeps finished work in a folder."""
    return Workplace(None, StageStore(folder / ".work", {}), runner or LocalRunner(None), Silence(), folder)
