"""What a study is: one question of an analysis, what it is put to, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from detector.shards.jobs import Stage, run_stages

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from markupsafe import Markup

    from detector.calibration.inputs import CalibrationInputs
    from detector.progress import Progress
    from detector.reporting.parts import Section
    from detector.research.claims import Claim
    from detector.shards.base import Job, ShardRunner
    from detector.shards.stages import Arrays, StageStore


@dataclass(frozen=True, eq=False)
class Workplace:
    """Where a study is done.

    Args:
        inputs: The classifier, its gradients and held-out images; None for studies that make their own.
        store: Where finished work is kept, so that a study that was interrupted goes on.
        runner: Runs the shards of what takes long.
        progress: Watches.
        folder: Where files go that people look at.
    """

    inputs: CalibrationInputs | None
    store: StageStore
    runner: ShardRunner
    progress: Progress
    folder: Path

    def done(self, name: str, job: Callable[[], Job], **depends: Any) -> Arrays:
        """The arrays of a job, found or computed; see `Stage`."""
        (finished,) = run_stages([Stage(name, job, depends)], self.store, self.runner, self.progress)
        return finished.arrays


@dataclass(frozen=True, eq=False)
class Study:
    """What a study found.

    Args:
        name: A word.
        figures: What is to be read by programs: JSON values.
        arrays: What is to be drawn or analysed further; written to one ``.npz`` for each study.
        sections: What is to be read by people.
        charts: Those of its charts that are also written to files of their own, ``<study>-<chart>.svg``, for pages
            that are no report.
        claims: What a paper says of it, put to the test.
        missing: What could not be done, and why; a sentence each.
    """

    name: str
    figures: Mapping[str, Any]
    arrays: Arrays = field(default_factory=dict)
    sections: tuple[Section, ...] = ()
    charts: Mapping[str, Markup] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    missing: tuple[str, ...] = ()
