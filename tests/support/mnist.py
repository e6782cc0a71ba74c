"""A small CNN for MNIST, trained on most of its test images: the setting of the replications that studies are held to.

The images are third-party data beside the checkout; nothing of them is kept.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from detector.calibration.inputs import load_inputs
from detector.classifiers.base import ChannelOrder, ImageSpec
from detector.classifiers.export import export_onnx
from detector.classifiers.options import SpecOptions
from detector.classifiers.torch import TorchClassifier
from detector.evaluation.unattacked import read_idx_images
from tests.support.calibrating import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from detector.calibration.inputs import CalibrationInputs

SPEC: Final = ImageSpec(height=28, width=28, channel_order=ChannelOrder.GRAY)
_TRAINING: Final = 8000
_IMAGES: Final = 10_000
_LABELS_HEAD: Final = 8
_EPOCHS: Final = 4
_BATCH: Final = 128


def mnist_inputs(shared_data: Path, folder: Path, *, seed: int = 0) -> CalibrationInputs:
    """Train on 8,000 images, and give the other 2,000 with the classifier and its gradients; half a minute."""
    images = read_idx_images(shared_data / "mnist" / "mnist_t10k-images-idx3-ubyte.gz", _IMAGES)
    with gzip.open(shared_data / "mnist" / "mnist_t10k-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(), np.uint8)[_LABELS_HEAD:].astype(np.int64)
    order = np.random.default_rng(seed).permutation(_IMAGES)
    training, held_out = order[:_TRAINING], order[_TRAINING:]
    module = _trained(images[training], labels[training], seed)
    classifier = TorchClassifier(module, SPEC, labels=tuple("0123456789"), name="MNIST CNN")
    export_onnx(classifier, folder / "mnist.onnx")
    np.savez(folder / "mnist.npz", images=images[held_out][..., None], labels=labels[held_out])
    return load_inputs(
        folder / "mnist.onnx",
        folder / "mnist.npz",
        spec=SpecOptions(),
        gradients=folder / "mnist.onnx",
        progress=Recorder(),
        taps=False,
        threads=1,
    )


def _trained(images: np.ndarray, labels: np.ndarray, seed: int) -> nn.Module:
    pixels = torch.from_numpy(images[:, None].astype(np.float32) / np.float32(255))
    wanted = torch.from_numpy(labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 10),
        )
        adam = torch.optim.Adam(module.parameters(), 1e-3)
        for _ in range(_EPOCHS):
            for rows in torch.split(torch.randperm(len(pixels)), _BATCH):
                adam.zero_grad()
                torch.autograd.backward(cross_entropy(module((pixels[rows] - 0.1307) / 0.3081), wanted[rows]))
                adam.step()
    return nn.Sequential(_Normalise(), module).eval()


class _Normalise(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - 0.1307) / 0.3081
