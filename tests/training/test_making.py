from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from detector.classifiers.gradients import load_torch_source
from detector.classifiers.loading import load_classifier
from detector.classifiers.options import SpecOptions
from detector.embedded import one_torch_thread
from detector.errors import AnalysisError, ClassifierError
from detector.images import to_canonical
from detector.progress import Silence
from detector.training.classifiers import FACTS, LABELS, MODEL, PROGRAM
from detector.training.kinds import OptimiserKind
from detector.training.making import WORK, Wanted, make
from detector.training.plan import Augmentation, Optimiser

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from detector.progress import Advance


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_torch_thread():
        yield


def scratch(digits: EmbeddedDefault) -> Wanted:
    return Wanted(
        images=str(digits.images_file),
        architecture="mlp-32",
        shape=(1, 8, 8),
        epochs=5,
        optimiser=Optimiser(kind=OptimiserKind.ADAM, learning_rate=0.01),
        augmentation=Augmentation(),
    )


def further(digits: EmbeddedDefault) -> Wanted:
    return Wanted(
        images=str(digits.images_file),
        start=str(digits.gradients_file),
        epochs=1,
        optimiser=Optimiser(kind=OptimiserKind.SGD, learning_rate=0.01),
        augmentation=Augmentation(),
    )


def test_a_new_classifier_is_one_that_every_command_takes(digits: EmbeddedDefault, tmp_path: Path) -> None:
    made = make(replace(scratch(digits), test=str(digits.images_file)), tmp_path, Silence())
    images = to_canonical(digits.test.pixels, (1, 8, 8))
    served = load_classifier(tmp_path / MODEL, labels_file=tmp_path / LABELS).classifier
    program = load_torch_source(tmp_path / PROGRAM).classifier(SpecOptions())
    assert np.allclose(served.logits(images), program.logits(images), atol=1e-4)
    assert served.labels == tuple("0123456789")
    assert made.after is not None
    assert made.after > 0.85
    assert (served.logits(images).argmax(1) == digits.test.labels).mean() > 0.85
    assert made.steps == 5 * 8
    facts = json.loads((tmp_path / FACTS).read_text())
    assert facts["architecture"] == "mlp-32"
    assert facts["made"]["after"] == made.after
    assert not (tmp_path / WORK).exists()


def test_training_further_starts_at_the_weights_that_are_there(digits: EmbeddedDefault, tmp_path: Path) -> None:
    made = make(replace(further(digits), test=str(digits.images_file)), tmp_path, Silence())
    before, after = (
        load_torch_source(file).classifier(SpecOptions()).module.state_dict()
        for file in (digits.gradients_file, tmp_path / PROGRAM)
    )
    assert before.keys() == after.keys()
    moved = [float((after[name] - value).norm() / value.norm()) for name, value in before.items()]
    assert all(0 < share < 0.3 for share in moved)
    assert made.before is not None
    assert made.after is not None
    assert made.after >= made.before - 0.01


class _Interrupted(Exception):  # noqa: N818 - a test's own
    pass


class _StopsAt:
    """Interrupts the training at a step."""

    def __init__(self, step: int) -> None:
        self._left = step

    def stage(self, title: str, total: int) -> AbstractContextManager[Advance]:
        return nullcontext(self._advance) if title == "Training" else Silence().stage(title, total)

    def _advance(self, steps: int) -> None:
        self._left -= steps
        if self._left <= 0:
            raise _Interrupted

    def note(self, text: str) -> None:
        del text


@pytest.mark.parametrize("wanted", [scratch, further])
def test_what_was_interrupted_ends_with_the_same_weights(
    wanted: Callable[[EmbeddedDefault], Wanted], digits: EmbeddedDefault, tmp_path: Path
) -> None:
    make(wanted(digits), tmp_path / "whole", Silence())
    with pytest.raises(_Interrupted):
        make(wanted(digits), tmp_path / "cut", _StopsAt(5))
    kept = list((tmp_path / "cut" / WORK).glob("*.safetensors"))
    assert kept
    assert all("step" in load_file(file) for file in kept)
    make(wanted(digits), tmp_path / "cut", Silence())
    whole, cut = (
        load_torch_source(tmp_path / name / PROGRAM).classifier(SpecOptions()).module.state_dict()
        for name in ("whole", "cut")
    )
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())


def test_what_contradicts_itself_is_refused(digits: EmbeddedDefault) -> None:
    with pytest.raises(AnalysisError, match="train further, or the architecture"):
        replace(scratch(digits), start="a.pt2")
    with pytest.raises(AnalysisError, match="shape of images"):
        replace(scratch(digits), shape=None)
    with pytest.raises(AnalysisError, match="epochs must be at least 1"):
        replace(scratch(digits), epochs=0)


def test_images_without_labels_are_refused(digits: EmbeddedDefault, tmp_path: Path) -> None:
    np.savez(tmp_path / "bare.npz", images=digits.test.pixels)
    with pytest.raises(AnalysisError, match="no labels"):
        make(replace(scratch(digits), test=str(tmp_path / "bare.npz")), tmp_path / "out", Silence())


def test_probabilities_are_not_trained_further(digits: EmbeddedDefault, tmp_path: Path) -> None:
    inner = load_torch_source(digits.gradients_file).module
    network = torch.nn.Sequential(inner, torch.nn.Softmax(1))
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, (torch.rand(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "soft.pt2")
    with pytest.raises(AnalysisError, match="probabilities"):
        make(replace(further(digits), start=str(tmp_path / "soft.pt2")), tmp_path / "out", Silence())


def test_what_is_no_classifier_is_refused(digits: EmbeddedDefault, tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="no such file"):
        make(replace(further(digits), start=str(tmp_path / "none.pt2")), tmp_path / "out", Silence())
