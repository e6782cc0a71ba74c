"""An evaluation with hidden paths: what they add, beside what the same guard finds without them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.evaluation.channels import CHEAPER, WITHOUT_TAPS, Trials, channel_results
from detector.evaluation.material import Material
from tests.evaluation.conftest import SMALL
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from tests.evaluation.conftest import Done


def test_their_gain_stands_beside_the_guard_without_them(evaluated: Done, tmp_path: Path) -> None:
    shutil.copytree(evaluated.folder / ".work", tmp_path / ".work")
    options = replace(SMALL, leave_out=False, calibration=replace(SMALL.calibration, hidden_paths=True))
    seen = Recorder()
    material = Material(evaluated.inputs, options, tmp_path / ".work", seen)
    parts = {part.name: part for part in channel_results(material, Trials(material), 1.0)}
    *_, taps, hidden = [name for name in parts if name not in CHEAPER]
    assert (taps, hidden) == ("and taps", "and hidden paths")
    assert parts[hidden].forwards_per_image == parts[WITHOUT_TAPS].forwards_per_image == parts[taps].forwards_per_image
    without = next(part for part in evaluated.results.channels if part.name == taps)
    assert parts[taps].attacks == without.attacks
    assert parts[taps].false_positives == without.false_positives
    assert parts[hidden].attacks != without.attacks
    assert not any(title.startswith("Attacking") for title in seen.stages)  # the same attacked images
