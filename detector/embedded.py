"""The embedded default: a small CNN for scikit-learn's digits, trained here and now in seconds.

It makes a real classifier, real calibration images and real test images out of nothing but installed packages, for the
demo and the tests. No weights are shipped: scikit-learn carries the digits.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.export import export_onnx, export_program
from detector.classifiers.torch import TorchClassifier
from detector.data.source import ImageSet
from detector.images import to_canonical
from detector.training.classifiers import accuracy
from detector.training.data import LabelledImages
from detector.training.kinds import OptimiserKind, ScheduleKind
from detector.training.plan import Augmentation, Optimiser, Schedule, TrainingPlan
from detector.training.trainer import Training, drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from detector.classifiers.base import UInt8Array

LABELS = tuple("0123456789")
SPEC = ImageSpec(height=8, width=8, channel_order=ChannelOrder.GRAY)
EPOCHS = 40

_TRAINING = 600
_CALIBRATION = 900
_WIDTH = 24
_BATCH = 50
_EPOCH = _TRAINING // _BATCH  # steps
_PLAN = TrainingPlan(
    optimiser=Optimiser(kind=OptimiserKind.ADAMW, learning_rate=5e-3, weight_decay=1e-2),
    schedule=Schedule(kind=ScheduleKind.ONE_CYCLE),
    steps=EPOCHS * _EPOCH,
    batch=_BATCH,
    augmentation=Augmentation(shift=1, together=True),  # keeps 600 images from being learnt by heart
)
_LEVELS = 16  # scikit-learn's digits count ink in 0..16


@dataclass(frozen=True)
class EmbeddedDefault:
    """A classifier of digits and the images that go with it.

    Args:
        classifier_file: The classifier, ``.onnx``; float32 (N, 1, 8, 8) in [0, 1] to logits (N, 10).
        gradients_file: The same as a ``torch.export`` program, ``.pt2``.
        images_file: ``.npz`` for calibration: `images` uint8 (900, 8, 8, 1), `labels`, `class_names`; none was trained
            on.
        test: The 297 images used neither in training nor for calibration.
        accuracy: Of the classifier on `test`, 0..1.
    """

    classifier_file: Path
    gradients_file: Path
    images_file: Path
    test: ImageSet
    accuracy: float


def build_embedded_default(
    folder: Path, *, seed: int = 0, on_progress: Callable[[int], None] | None = None
) -> EmbeddedDefault:
    """Train the classifier and write it, its gradients and its calibration images.

    Args:
        folder: Where to; made if need be, files of the same names are replaced.
        seed: Of the split and the training; the same seed gives the same files on the same machine.
        on_progress: Told the number of epochs done since it was told last; `EPOCHS` in all.

    Returns:
        What was made.

    Raises:
        ClassifierError: This torch can't export the classifier.
    """
    pixels, labels = read_digits()
    training, calibration, test = _split(labels, seed)
    module = _train(pixels[training], labels[training], seed, on_progress)
    classifier = TorchClassifier(module, SPEC, labels=LABELS, name="embedded digits CNN")
    tests = _image_set(pixels[test], labels[test], test)
    folder.mkdir(parents=True, exist_ok=True)
    default = EmbeddedDefault(
        classifier_file=folder / "digits.onnx",
        gradients_file=folder / "digits.pt2",
        images_file=folder / "digits.npz",
        test=tests,
        accuracy=accuracy(classifier, tests),
    )
    export_onnx(classifier, default.classifier_file)
    export_program(classifier, default.gradients_file)
    np.savez(default.images_file, images=pixels[calibration], labels=labels[calibration], class_names=np.array(LABELS))
    return default


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Torch on one thread, within the block.

    So small a network is faster so, on a busy machine ten times, and its sums don't depend on the number of cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def read_digits() -> tuple[UInt8Array, NDArray[np.int64]]:
    """scikit-learn's digits: uint8 (1797, 8, 8, 1) and what they show, int64 (1797,)."""
    data = load_digits()
    return np.rint(data.images * (255 / _LEVELS)).astype(np.uint8)[..., None], data.target.astype(np.int64)


def digits_set() -> ImageSet:
    """scikit-learn's digits: 1,797 grey images of 8 x 8."""
    pixels, labels = read_digits()
    return _image_set(pixels, labels, np.arange(len(labels)))


def labelled_digits() -> LabelledImages:
    """`digits_set` to train on."""
    return LabelledImages.of(digits_set())


def _split(labels: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows for training, calibration and test: disjoint, each with every class in proportion."""
    rows = np.arange(len(labels))
    training, rest = train_test_split(rows, train_size=_TRAINING, stratify=labels, random_state=seed)
    calibration, test = train_test_split(rest, train_size=_CALIBRATION, stratify=labels[rest], random_state=seed)
    return training, calibration, test


def _image_set(pixels: UInt8Array, labels: NDArray[np.int64], rows: NDArray[np.int64]) -> ImageSet:
    return ImageSet(pixels=pixels, labels=labels, names=tuple(f"digits[{i}]" for i in rows), class_names=LABELS)


def _train(
    pixels: UInt8Array, digits: NDArray[np.int64], seed: int, on_progress: Callable[[int], None] | None
) -> nn.Module:
    images, labels = torch.from_numpy(to_canonical(pixels, SPEC.shape)), torch.from_numpy(digits)
    module, generator = drawn(seed, _network)
    training = Training(module, images, labels, _PLAN, generator)
    with one_torch_thread():
        for epoch in range(1, EPOCHS + 1):
            training.run(epoch * _EPOCH)
            if on_progress:
                on_progress(1)
    return module.eval()


def _network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, _WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(_WIDTH, 2 * _WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(2 * _WIDTH, 2 * _WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * _WIDTH * (SPEC.height // 2) * (SPEC.width // 2), len(LABELS)),
    )
