"""Classifiers and images that the tests of this package share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.classifiers.outputs import probe_images
from tests.support.tiny import TINY_SPEC, tiny_onnx, tiny_torch

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier


@pytest.fixture(scope="session")
def tiny_model() -> bytes:
    return tiny_onnx()


@pytest.fixture(scope="session")
def tiny() -> TorchClassifier:
    return tiny_torch()


@pytest.fixture(scope="session")
def images() -> Float32Array:
    """Seven images of whole uint8 levels, which every convention represents alike."""
    pixels = np.rint(probe_images(TINY_SPEC, 7, seed=5) * 255)
    return (pixels / np.float32(255)).astype(np.float32)


@pytest.fixture(scope="session")
def cifar_model(shared_data: Path) -> bytes:
    return (shared_data / "classifiers" / "cifar10_resnet20.onnx").read_bytes()
