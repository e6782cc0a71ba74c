from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from detector.training.adversarial import attacked
from detector.training.data import LabelledImages
from detector.training.plan import Adversary, Optimiser, TrainingPlan
from detector.training.recipe import TrainingRecipe
from detector.training.runs import trained

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

CLASSES = 2


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(count: int = 12, *, seed: int = 0) -> Tensor:
    return torch.rand(count, 1, 4, 4, generator=_seeded(seed))


def _network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, CLASSES)
        )


def _loss(network: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda images: functional.cross_entropy(network(images), torch.arange(len(images)) % CLASSES)


@pytest.mark.parametrize("steps", [2, 5, 10])
def test_where_the_loss_is_linear_every_start_ends_at_the_corner_of_the_budget(steps: int) -> None:
    """Several steps are 2.5 budgets long together, and no start is further than 2 from the best corner."""
    images, slopes = _images(), torch.randn(1, 4, 4, generator=_seeded(1))
    found = attacked(nn.Identity(), images, lambda x: (x * slopes).mean(), level=8, steps=steps, generator=_seeded())
    torch.testing.assert_close(found, (images + 8 / 255 * slopes.sign()).clamp(0, 1))


@pytest.mark.parametrize(("level", "steps"), [(8, 1), (64, 3), (255, 1)])
def test_no_pixel_leaves_the_budget_or_the_range_and_the_loss_rises(level: float, steps: int) -> None:
    images, network = _images(), _network().eval()
    loss = _loss(network)
    found = attacked(network, images, loss, level=level, steps=steps, generator=_seeded())
    assert found.min() >= 0
    assert found.max() <= 1
    assert (found - images).abs().max() <= level / 255 + 1e-6
    assert loss(found) > loss(images)


def test_the_network_is_left_as_it_was() -> None:
    network = _network().train()
    network(_images()).sum().backward()
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    gradients = [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]
    attacked(network, _images(), _loss(network), level=8, steps=2, generator=_seeded())
    assert all(torch.equal(value, kept[name]) for name, value in network.state_dict().items())
    assert network.training
    for parameter, gradient in zip(network.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=0, atol=0)


def test_the_random_start_follows_from_the_generator() -> None:
    images, network = _images(), _network()
    bits = torch.get_rng_state()
    one, again, other = (
        attacked(network, images, _loss(network), level=8, steps=1, generator=_seeded(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), bits)


def test_a_network_trained_so_withstands_what_one_trained_plainly_does_not() -> None:
    """One pixel tells the classes of most images by a wide margin, all others those of all images by a narrow one."""
    images, held_out = _two_cues(400, seed=0), _two_cues(200, seed=1)
    accuracies = []
    for adversary in (None, Adversary(level=48, steps=5)):
        plan = TrainingPlan(steps=400, batch=50, optimiser=Optimiser(learning_rate=0.005), adversary=adversary)
        network = trained(TrainingRecipe.of("mlp-16", images, plan), images)
        inputs, labels = held_out.tensors()

        def loss(x: Tensor, network: nn.Module = network, labels: Tensor = labels) -> Tensor:
            return functional.cross_entropy(network(x), labels)

        moved = attacked(network, inputs.float() / 255, loss, level=48, steps=10, generator=_seeded())
        accuracies.append((network.eval()(moved).argmax(1) == labels).float().mean().item())
    plain, robust = accuracies
    assert plain < 0.5
    assert robust > 0.8


def test_the_level_rises_evenly_over_the_ramp() -> None:
    adversary = Adversary(level=8, ramp=4)
    assert [adversary.level_at(step) for step in range(6)] == [2, 4, 6, 8, 8, 8]
    assert Adversary(level=8).level_at(0) == 8


def _two_cues(count: int, *, seed: int) -> LabelledImages:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    sides = 2 * labels - 1
    images = 128 + 20 * sides[:, None, None, None] + generator.integers(-4, 5, (count, 1, 8, 8))
    strong = np.where(generator.random(count) < 0.9, sides, -sides)
    images[:, 0, 0, 0] = 128 + 80 * strong
    return LabelledImages(images.astype(np.uint8), labels, 2)
