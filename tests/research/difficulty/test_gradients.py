"""Gradients of single examples: the fast ways agree with taking them one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from detector.errors import AnalysisError
from detector.research.difficulty.gradients import example_gradients, norms_by_vmap, output_layer
from detector.training.architectures import build_network

_SHAPE = (3, 9, 8)


def _network(name: str) -> nn.Module:
    torch.manual_seed(0)
    module = build_network(name, _SHAPE, 4, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2))
    for layer in module.modules():  # statistics and scales that a network has after training
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 2)
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return module.eval()


def _examples(count: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, *_SHAPE, generator=generator), torch.randint(4, (count,), generator=generator)


def _slow_norms(
    module: nn.Module, images: torch.Tensor, labels: torch.Tensor, weights: list[nn.Parameter]
) -> list[float]:
    found = []
    for image, label in zip(images, labels, strict=True):
        loss = functional.cross_entropy(module(image[None]), label[None])
        by = torch.autograd.grad(loss, weights)
        found.append(float(torch.cat([part.flatten() for part in by]).norm()))
    return found


@pytest.mark.parametrize("name", ["mlp-8-6", "cnn-4-6", "flatcnn-4-6", "resnet8-4", "cnn-4-6-layernorm", "resmlp2-8"])
def test_grand_agrees_with_gradients_taken_one_by_one(name: str) -> None:
    module, (images, labels) = _network(name), _examples()
    found = example_gradients(module, images, labels)
    np.testing.assert_allclose(found.norms, _slow_norms(module, images, labels, list(module.parameters())), rtol=2e-5)
    last = list(output_layer(module).parameters())
    np.testing.assert_allclose(found.last, _slow_norms(module, images, labels, last), rtol=2e-5)
    assert (found.last < found.norms).all()


def test_layers_and_vmap_agree() -> None:
    module, (images, labels) = _network("flatcnn-4-6"), _examples(300)  # more than a batch
    found = example_gradients(module, images, labels)
    np.testing.assert_allclose(found.norms, norms_by_vmap(module, images, labels), rtol=2e-5)


def test_grand_of_the_last_layer_has_its_closed_form() -> None:
    module, (images, labels) = _network("mlp-8"), _examples()
    assert isinstance(module, nn.Sequential)
    read = module[:-1](images)
    residual = module(images).softmax(1) - functional.one_hot(labels, 4)
    expected = residual.norm(dim=1) * (read.square().sum(1) + 1).sqrt()
    np.testing.assert_allclose(example_gradients(module, images, labels).last, expected.detach(), rtol=1e-5)


def test_gradients_by_pixels_agree_with_those_of_single_probabilities() -> None:
    module, (images, labels) = _network("flatcnn-4-6"), _examples()
    found = example_gradients(module, images, labels)
    predicted = module(images).argmax(1)
    assert (predicted != labels).any()
    assert (predicted == labels).any()
    for place in range(len(images)):
        pixels = images[place : place + 1].clone().requires_grad_()
        shares = module(pixels).softmax(1)[0]
        wanted = {"label": shares[labels[place]], "predicted": shares.max(), "loss": -shares[labels[place]].log()}
        for name, value in wanted.items():
            (by,) = torch.autograd.grad(value, pixels, retain_graph=True)
            np.testing.assert_allclose(getattr(found, name)[place], by[0].mean(0), atol=1e-6, err_msg=name)


def test_a_batch_says_of_each_example_what_it_says_alone() -> None:
    module, (images, labels) = _network("resnet8-4"), _examples()
    together = example_gradients(module, images, labels)
    alone = example_gradients(module, images[2:3], labels[2:3])
    np.testing.assert_allclose(together.norms[2], alone.norms[0], rtol=1e-5)
    np.testing.assert_allclose(together.label[2], alone.label[0], atol=1e-6)


def test_a_network_without_a_linear_layer_is_refused() -> None:
    images, labels = _examples()
    with pytest.raises(AnalysisError, match="no linear layer"):
        example_gradients(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), images, labels)
