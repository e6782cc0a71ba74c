"""Work for shards, which Ray's workers find by its name, and options small enough for a few seconds."""

from __future__ import annotations

import os
import signal
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.attacks.threat_models import fgsm, pgd, spatial, unconstrained
from detector.calibration.options import ScorerChoice
from detector.errors import ClassifierError
from tests.support.calibrating import quick_options

if TYPE_CHECKING:
    from pathlib import Path

    from detector.progress import Advance
    from detector.shards.base import Models
    from detector.shards.stages import Arrays

OPTIONS = quick_options(ScorerChoice.SUPERVISED)
OPTIONS = replace(
    OPTIONS,
    # Three shards of prototypes, and two of those attacks that draw numbers.
    prototypes=replace(OPTIONS.prototypes, batch=8, jitter=1, steps=25),
    attacks=(fgsm(8), pgd(8, steps=3), spatial(tries=3), unconstrained(steps=33)),
    attack_images=135,
    corrupted_copies=1,
)
"""A calibration in which every kind of shard is there more than once."""


@dataclass(frozen=True)
class Deaths:
    """A worker's death, and a record of who did what.

    Args:
        folder: Where each execution leaves a file.
        victim: The shard whose worker dies.
        times: How often.
    """

    folder: Path
    victim: int
    times: int

    def executions(self) -> list[int]:
        """The shards that were begun, as often as they were."""
        return sorted(int(file.name.split("-")[0]) for file in self.folder.iterdir())


def squares(models: Models | None, deaths: Deaths, number: int, advance: Advance) -> Arrays:
    """A shard's square; the victim's worker is killed, as the kernel does where memory ends."""
    del models
    (deaths.folder / f"{number}-{uuid.uuid4()}").touch()
    if number == deaths.victim and deaths.executions().count(number) <= deaths.times:
        os.kill(os.getpid(), signal.SIGKILL)
    advance(1)
    return {"squares": np.array([number**2])}


def refusing(models: Models | None, shared: Any, number: int, advance: Advance) -> Arrays:
    """A shard that can't be done."""
    del models, shared, advance
    raise ClassifierError(f"shard {number} puts out nonsense")


def processes(models: Models | None, shared: Any, number: int, advance: Advance) -> Arrays:
    """Which process a shard ran in."""
    del models, shared, number
    advance(1)
    return {"pids": np.array([os.getpid()])}
