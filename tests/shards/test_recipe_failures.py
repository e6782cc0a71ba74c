"""Workers that would compute with something else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector.calibration.spreading import model_recipe
from detector.errors import ClassifierError
from detector.shards.recipe import GradientOrigin, NoModels
from tests.support.calibrating import digits_inputs

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault


def test_gradients_that_are_another_file_elsewhere_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.pt2"
    file.write_bytes(b"one")
    origin = GradientOrigin.of(file)
    origin.check()
    file.write_bytes(b"two")
    with pytest.raises(ClassifierError, match=r"model\.pt2: another file on this machine"):
        origin.check()
    file.unlink()
    with pytest.raises(ClassifierError, match=r"model\.pt2: not on this machine"):
        origin.check()


def test_other_versions_on_a_worker_are_refused(digits: EmbeddedDefault) -> None:
    recipe = model_recipe(digits_inputs(digits), threads=1)
    with pytest.raises(ClassifierError, match=r"other versions are installed on a worker.*instead of 0\.1"):
        replace(recipe, tools={**recipe.tools, "numpy": "0.1"}).open()
    with pytest.raises(ClassifierError, match=r"other versions are installed on a worker.*instead of 0\.1"):
        NoModels(1, {"numpy": "0.1"}).open()


def test_another_device_on_a_worker_is_refused(digits: EmbeddedDefault) -> None:
    recipe = model_recipe(digits_inputs(digits), threads=1)
    assert recipe.open().gradients is not None
    with pytest.raises(ClassifierError, match=r"a worker would run .*on CPU.*, and here it is \('digits on CUDA',\)"):
        replace(recipe, devices=("digits on CUDA",)).open()


def test_a_classifier_that_runs_elsewhere_is_not_spread(digits: EmbeddedDefault) -> None:
    inputs = digits_inputs(digits)
    with pytest.raises(ClassifierError, match="runs elsewhere is not spread over Ray"):
        model_recipe(replace(inputs, loaded=replace(inputs.loaded, model=None)), threads=1)  # type: ignore[arg-type] # as a remote one has it
