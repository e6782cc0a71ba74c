"""Studies of permutations small enough for seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.research.studies import Workplace
from detector.shards.base import LocalRunner
from detector.shards.stages import StageStore
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from pathlib import Path


def workplace(folder: Path) -> Workplace:
    """A place without a classifier, which no study of permutations asks for."""
    return Workplace(None, StageStore(folder / "stages", {}), LocalRunner(None), Recorder(), folder)
