"""MNIST's test images, where the third-party data is, and a small CNN trained on most of them.

That is the setting of the replications which studies are held to. Nothing of the images is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.calibration.inputs import load_inputs
from detector.classifiers.export import export_onnx
from detector.classifiers.options import SpecOptions
from detector.data.idx import read_idx
from detector.training.data import LabelledImages
from detector.training.plan import TrainingPlan
from detector.training.recipe import TrainingRecipe
from detector.training.runs import trained
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs
    from detector.data.source import ImageSet

_ALL: Final = 10_000
_TRAINING: Final = 8000
_PLAN: Final = TrainingPlan(steps=252, batch=128)  # four epochs


def mnist_images(shared_data: Path, limit: int = _ALL) -> ImageSet:
    """The first of them, with their labels."""
    folder = shared_data / "mnist"
    return read_idx(folder / "mnist_t10k-images-idx3-ubyte.gz", folder / "mnist_t10k-labels-idx1-ubyte.gz", limit)


def mnist_inputs(shared_data: Path, folder: Path, *, seed: int = 0) -> CalibrationInputs:
    """Train on 8,000 images, and give the other 2,000 with the classifier and its gradients; half a minute."""
    training, held_out = LabelledImages.of(mnist_images(shared_data)).split(_TRAINING, seed)
    recipe = TrainingRecipe.of("flatcnn-16-32", training, _PLAN, init_seed=seed, order_seed=seed)
    export_onnx(recipe.classifier(trained(recipe, training)), folder / "mnist.onnx")
    np.savez(folder / "mnist.npz", images=held_out.images.transpose(0, 2, 3, 1), labels=held_out.labels)
    return load_inputs(
        folder / "mnist.onnx",
        folder / "mnist.npz",
        spec=SpecOptions(),
        gradients=folder / "mnist.onnx",
        progress=Recorder(),
        taps=False,
        threads=1,
    )
