from __future__ import annotations

import pytest
import torch
from torch import nn

from detector.training.architectures import build_network
from detector.training.layers import ChannelNorm

NAMES = (
    *("mlp-12", "mlp-12-8-layernorm", "mlp-8-batchnorm", "cnn-4-8", "cnn-4-8-layernorm", "flatcnn-4-8"),
    *("flatcnn-4-8-groupnorm", "resnet8-4", "resnet14-4-layernorm", "resnet8-6-groupnorm", "resmlp3-8"),
    "resmlp2-8-plain",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 13, 9)])
def test_a_network_takes_images_of_any_shape(name: str, shape: tuple[int, int, int]) -> None:
    network = build_network(name, shape, 5, mean=(0.5,) * shape[0], std=(0.2,) * shape[0])
    assert network(torch.rand(3, *shape)).shape == (3, 5)


@pytest.mark.parametrize(("depth", "parameters"), [(20, 0.27e6), (32, 0.46e6), (56, 0.85e6)])
def test_resnets_are_those_of_the_paper(depth: int, parameters: float) -> None:
    """He et al., Table 6: 0.27, 0.46 and 0.85 million parameters."""
    network = build_network(f"resnet{depth}-16", (3, 32, 32), 10)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(parameters, rel=0.02)
    weighted = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(weighted) == depth


def test_a_depth_is_counted() -> None:
    blocks = build_network("resmlp5-8", (1, 2, 2), 2)
    assert sum(isinstance(module, nn.Linear) for module in blocks.modules()) == 2 + 2 * 5
    assert [tuple(p.shape) for p in build_network("mlp-5-3", (1, 2, 2), 2).parameters()] == [
        *((5, 4), (5,), (3, 5), (3,), (2, 3), (2,))
    ]


def test_standardised_images_come_in() -> None:
    network = build_network("mlp-4", (1, 2, 2), 2, mean=(0.25,), std=(0.5,))
    torch.testing.assert_close(network[0](torch.tensor([[[[0.25, 0.75]]]])), torch.tensor([[[[0.0, 1.0]]]]))


def test_a_map_is_normalised_over_its_channels_at_each_position() -> None:
    normalised = ChannelNorm(6)(torch.rand(2, 6, 3, 4) * 7 + 3)
    torch.testing.assert_close(normalised.mean(dim=1), torch.zeros(2, 3, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.var(dim=1, correction=0), torch.ones(2, 3, 4), atol=1e-3, rtol=0)


def test_group_norm_finds_groups_that_divide_the_channels() -> None:
    groups = [
        module.num_groups
        for module in build_network("cnn-16-12-7-groupnorm", (1, 8, 8), 2)
        if hasattr(module, "num_groups")
    ]
    assert groups == [8, 6, 7]
