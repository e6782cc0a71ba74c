"""What can't be carried over is refused in a line that names what is wrong."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector import read_bundle
from detector.calibration.options import CalibrationOptions
from detector.embedded import LABELS
from detector.errors import (
    BundleError,
    BundleIntegrityError,
    CalibrationError,
    ClassifierError,
    ClassifierMismatchError,
    IsthmusError,
)
from detector.images import to_pixels
from detector.training.architectures import build_network
from detector.transfer.options import TransferOptions
from tests.support.retraining import old_module, saved, transfer_inputs, transferred

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from detector.transfer.inputs import TransferInputs

    Inputs = Callable[[str], TransferInputs]


@pytest.fixture
def refused(digits: EmbeddedDefault, digits_bundle: Path, sample: Path) -> Callable[..., IsthmusError]:
    """The error of a transfer that can't begin."""

    def error(classifier: Path | None = None, images: Path | None = None, labels: Path | None = None) -> IsthmusError:
        with pytest.raises(IsthmusError) as caught:
            transfer_inputs(
                digits, digits_bundle, classifier or digits.classifier_file, images or sample, labels=labels
            )
        return caught.value

    return error


def _sample(folder: Path, pixels: np.ndarray, labels: np.ndarray | None) -> Path:
    file = folder / "images.npz"
    if labels is None:
        np.savez(file, images=pixels)
    else:
        np.savez(file, images=pixels, labels=labels, class_names=np.array(LABELS))
    return file


def test_another_number_of_classes(refused: Callable[..., IsthmusError], tmp_path: Path) -> None:
    classifier = saved(build_network("flatcnn-4", (1, 8, 8), 12), tmp_path / "twelve.pt2")
    error = refused(classifier)
    assert isinstance(error, ClassifierMismatchError)
    assert "knows 12 classes; the bundle was calibrated for (1, 8, 8) and 10" in str(error)


def test_images_of_another_size(refused: Callable[..., IsthmusError], tmp_path: Path) -> None:
    module = build_network("flatcnn-4", (1, 12, 12), 10).eval()
    program = torch.export.export(
        module, (torch.zeros(2, 1, 12, 12),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    )
    torch.export.save(program, tmp_path / "larger.pt2")
    error = refused(tmp_path / "larger.pt2")
    assert isinstance(error, ClassifierMismatchError)
    assert "takes (1, 12, 12)" in str(error)


def test_class_names_in_another_order(refused: Callable[..., IsthmusError], tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("\n".join(("1", "0", *LABELS[2:])))
    error = refused(labels=tmp_path / "names.txt")
    assert isinstance(error, CalibrationError)
    assert "--labels: class 0 is '1', and '0' in the bundle" in str(error)
    (tmp_path / "names.txt").write_text("\n".join(LABELS[:9]))
    assert "--labels: 9 classes; the bundle knows 10" in str(refused(labels=tmp_path / "names.txt"))


def test_outputs_in_another_order(
    refused: Callable[..., IsthmusError], digits: EmbeddedDefault, tmp_path: Path
) -> None:
    module = old_module(digits)
    last = module[-1]  # type: ignore[index] # it is a Sequential
    with torch.no_grad():
        last.weight.copy_(last.weight.roll(1, 0).clone())
        last.bias.copy_(last.bias.roll(1, 0).clone())
    error = refused(saved(module, tmp_path / "rolled.pt2"))
    assert isinstance(error, CalibrationError)
    assert str(error).startswith("the new classifier on --images: the data's labels disagree")
    assert "'0' is predicted as '1'" in str(error)


def test_weights_that_are_no_numbers(
    refused: Callable[..., IsthmusError], digits: EmbeddedDefault, tmp_path: Path
) -> None:
    module = old_module(digits)
    with torch.no_grad():
        next(module.parameters())[0] = torch.nan
    error = refused(saved(module, tmp_path / "nan.pt2"))
    assert isinstance(error, ClassifierError)
    assert "finite" in str(error)


def test_images_without_labels(refused: Callable[..., IsthmusError], digits: EmbeddedDefault, tmp_path: Path) -> None:
    error = refused(images=_sample(tmp_path, digits.test.pixels, None))
    assert isinstance(error, CalibrationError)
    assert "they have no labels" in str(error)


def test_too_few_images(refused: Callable[..., IsthmusError], digits: EmbeddedDefault, tmp_path: Path) -> None:
    few = _sample(
        tmp_path, digits.test.pixels[:49], digits.test.labels[:49] if digits.test.labels is not None else None
    )
    assert "49 images; at least 50 are needed" in str(refused(images=few))


def test_images_that_calibrated_the_bundle(
    refused: Callable[..., IsthmusError], digits: EmbeddedDefault, digits_bundle: Path, tmp_path: Path
) -> None:
    seen = to_pixels(read_bundle(digits_bundle).canaries.images[:1])
    labels = digits.test.labels
    assert labels is not None
    mixed = _sample(tmp_path, np.concatenate([digits.test.pixels, seen]), np.append(labels, labels[0]))
    assert "is one of the bundle's canaries" in str(refused(images=mixed))


def test_a_bundle_that_was_altered(digits: EmbeddedDefault, digits_bundle: Path, sample: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(digits_bundle, altered)
    (altered / "scorer.onnx").write_bytes(b"no scorer")
    with pytest.raises(BundleIntegrityError, match=r"scorer\.onnx: altered"):
        transfer_inputs(digits, altered, digits.classifier_file, sample)


def test_a_place_that_is_taken(inputs_for: Inputs, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        transferred(inputs_for("same"), tmp_path / "out")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"kept_share": 0.0}, "kept_share"),
        ({"significance": 1.0}, "significance"),
        ({"calibration_share": 0.95}, "calibration_share"),
        ({"error_barrier": -0.1}, "error_barrier"),
        ({"attack_images": 0}, "attack_images"),
        ({"restarts": 0}, "restarts"),
        ({"rate_factor": 1.0}, "rate_factor"),
        ({"prototype_loss": float("nan")}, "prototype_loss"),
        ({"barrier_points": 2}, "barrier_points"),
    ],
)
def test_bars_that_make_no_sense(options: dict[str, float], named: str) -> None:
    with pytest.raises(CalibrationError, match=f"transfer: .*{named}"):
        TransferOptions(**options)  # type: ignore[arg-type] # whole numbers among them


def test_usual_options_stand() -> None:
    assert TransferOptions().to_json()["attack"] in {model.name for model in CalibrationOptions().attacks}
