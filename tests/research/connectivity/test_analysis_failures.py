"""What can't be analysed is left out and said; only where nothing can is it an error."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from detector.calibration.inputs import load_inputs
from detector.classifiers.export import export_onnx
from detector.classifiers.options import SpecOptions
from detector.classifiers.torch import TorchClassifier
from detector.embedded import SPEC
from detector.errors import AnalysisError
from detector.research.connectivity.options import ConnectivityOptions
from tests.support.analysing import analysed_connectivity
from tests.support.calibrating import Recorder, unlabelled
from tests.support.connecting import OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs

SMALL = OPTIONS.given(pairs=20, attack_steps=10, prototypes=1, prototype_steps=5, steps=5)
OF_PAIRS = ("pairs", "bypass")


class _Linear(nn.Module):
    """Ten logits of 64 pixels: all zero, or with a class that is no number where the first pixel is lit."""

    def __init__(self, bad: float = 0.0) -> None:
        super().__init__()
        self.last = nn.Linear(64, 10)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)
        self.bad = bad

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.last(images.flatten(1))
        return logits + self.bad * torch.log(1 - images[:, :1, 0, 0]) if self.bad else logits


def _inputs(module: nn.Module, inputs: CalibrationInputs, folder: Path) -> CalibrationInputs:
    export_onnx(TorchClassifier(module, SPEC, name="made for a test"), folder / "model.onnx")
    assert inputs.images.labels is not None
    np.savez(folder / "images.npz", images=inputs.images.pixels, labels=inputs.images.labels)
    return load_inputs(
        folder / "model.onnx", folder / "images.npz", spec=SpecOptions(), progress=Recorder(), taps=False
    )


def test_without_gradients_real_images_are_still_measured(inputs: CalibrationInputs, tmp_path: Path) -> None:
    told = Recorder()
    found = analysed_connectivity(replace(inputs, gradients=None, origin=None), SMALL, tmp_path, told, studies=OF_PAIRS)
    (study,) = found.studies
    assert list(study.figures["kinds"]) == ["real-real", "two classes"]
    left_out = [sentence for sentence in found.missing if "no gradients: pass --gradients" in sentence]
    assert [sentence.split(": ")[1] for sentence in left_out[:-1]] == [
        "real-adversarial",
        "real-adversarial, rounded",
        "real-adversarial, PGD",
        "real-synthetic, rough",
        "real-synthetic, smooth",
        "synthetic-synthetic",
    ]
    assert left_out[-1].startswith("bypass: ")
    assert [note.split(": ", 1)[1] for note in told.notes] == list(found.missing)
    assert "no gradients" in (tmp_path / "report.html").read_text()


def test_a_class_with_one_image_is_left_out_by_name(inputs: CalibrationInputs, tmp_path: Path) -> None:
    assert inputs.images.labels is not None
    rows = np.flatnonzero(inputs.images.labels != 7)
    rows = np.r_[rows[:200], np.flatnonzero(inputs.images.labels == 7)[:1]]
    few = replace(inputs, images=inputs.images.take(rows), gradients=None, origin=None)
    found = analysed_connectivity(few, SMALL, tmp_path, Recorder(), studies=["pairs"])
    assert any(sentence.endswith(": 7") and "fewer than two images" in sentence for sentence in found.missing)
    assert 7 not in found.studies[0].arrays["real-real classes"]


def test_without_labels_answers_stand_for_them(inputs: CalibrationInputs, tmp_path: Path) -> None:
    found = analysed_connectivity(
        replace(unlabelled(inputs), gradients=None), SMALL, tmp_path, Recorder(), studies=["pairs"]
    )
    assert any("no labels" in sentence for sentence in found.missing)


def test_constant_answers_are_said(inputs: CalibrationInputs, tmp_path: Path) -> None:
    constant = _inputs(_Linear(), inputs, tmp_path)
    found = analysed_connectivity(constant, SMALL, tmp_path / "out", Recorder(), studies=OF_PAIRS)
    assert any("answers are constant" in sentence for sentence in found.missing)
    pairs = found.studies[0].figures["kinds"]["real-real"]
    assert pairs["measures"]["gap"]["mean"]["value"] == 0
    assert pairs["measures"]["height"]["mean"]["value"] == pytest.approx(np.log(10), rel=1e-5)


def test_a_loss_that_is_no_number_is_a_clear_error(inputs: CalibrationInputs, tmp_path: Path) -> None:
    pixels = inputs.images.pixels.copy()
    pixels[100:, 0, 0] = 255
    lit = replace(inputs.images, pixels=pixels)
    broken = _inputs(_Linear(1.0), replace(inputs, images=lit), tmp_path)
    with pytest.raises(AnalysisError, match=r"nothing could be analysed. pairs: .* NaN or infinite numbers; bypass: "):
        analysed_connectivity(broken, SMALL, tmp_path / "out", Recorder(), studies=OF_PAIRS)


def test_nothing_to_work_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"pairs: pairs of images need a classifier"):
        analysed_connectivity(None, ConnectivityOptions(), tmp_path, Recorder(), studies=["pairs"])
    with pytest.raises(AnalysisError, match=r"--studies pears: .* there are .*pairs"):
        analysed_connectivity(None, ConnectivityOptions(), tmp_path, Recorder(), studies=["pears"])


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("class,loss1,loss2,max_interpolated_loss\n1,0,0,0\n1,0,0,0\n")
    (tmp_path / "taken").write_text("")
    options = ConnectivityOptions(barriers={"within-class": tmp_path / "file.csv"})
    with pytest.raises(AnalysisError, match=r"taken: results can't be written"):
        analysed_connectivity(None, options, tmp_path / "taken", Recorder())


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"pairs": 1}, "pairs must lie in 2"),
        ({"points": 2}, "points must lie in 3"),
        ({"epsilon": 0.0}, "above 0"),
        ({"rounds": 99}, "rounds must lie in"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"prototypes": 0}, "prototypes must be at least 1"),
    ],
)
def test_options_out_of_range_are_named(values: dict[str, int], reason: str) -> None:
    with pytest.raises(AnalysisError, match=reason):
        ConnectivityOptions(**values)  # type: ignore[arg-type] # one of each field's type
