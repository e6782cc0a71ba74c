from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from detector.attacks.surrogate import SurrogateOptions, train_surrogate
from tests.support.bundles import calibration_images

if TYPE_CHECKING:
    from detector.classifiers.torch import TorchClassifier
    from detector.embedded import EmbeddedDefault

QUICK = SurrogateOptions(steps=3, batch=8, seed=1)


def _stripes(channels: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Bright above or bright below, which no mirroring from side to side changes."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 64)
    images = 0.2 * generator.random((64, channels, height, width), dtype=np.float32)
    for image, label in zip(images, labels, strict=True):
        half = slice(height // 2) if label else slice(height // 2, None)
        image[:, half] += 0.6
    return images, labels


def test_it_learns_digits_it_has_not_seen(surrogate: TorchClassifier, digits: EmbeddedDefault) -> None:
    images, labels = calibration_images(digits)
    assert (surrogate.logits(images[:450]).argmax(axis=1) == labels[:450]).mean() > 0.9


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (3, 13, 9), (1, 2, 5)])
def test_it_takes_images_of_any_shape_and_learns_through_flips(shape: tuple[int, int, int]) -> None:
    images, labels = _stripes(*shape)
    trained = train_surrogate(images, labels, 2, SurrogateOptions(steps=30, batch=32))
    assert trained.spec.shape == shape
    assert (trained.logits(images).argmax(axis=1) == labels).all()


def test_it_has_gradients_and_weights_of_its_own() -> None:
    images, labels = _stripes(3, 8, 8)
    trained = train_surrogate(images, labels, 5, QUICK)
    leaf = torch.from_numpy(images[:2].copy()).requires_grad_()
    (gradient,) = torch.autograd.grad(trained.differentiable_logits(leaf).sum(), [leaf])
    assert gradient.abs().sum() > 0
    assert len(trained.labels) == 5
    assert not any(parameter.requires_grad for parameter in trained.module.parameters())


def test_the_same_seed_trains_the_same_and_the_global_generator_is_left_alone() -> None:
    images, labels = _stripes(3, 8, 8)
    bits = torch.get_rng_state()
    told: list[int] = []
    first = train_surrogate(images, labels, 2, QUICK, on_progress=told.append)
    again = train_surrogate(images, labels, 2, QUICK)
    other = train_surrogate(images, labels, 2, SurrogateOptions(steps=3, batch=8, seed=2))
    assert torch.equal(torch.get_rng_state(), bits)
    assert sum(told) == 3
    np.testing.assert_array_equal(first.logits(images), again.logits(images))
    assert (first.logits(images) != other.logits(images)).any()
