from __future__ import annotations

import pytest

from detector.training.architectures import OF_WIDTHS, check_network
from detector.training.naming import NetworkName


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("mlp-256-128", NetworkName("mlp", None, (256, 128))),
        ("resnet20-16-layernorm", NetworkName("resnet", 20, (16,), "layernorm")),
        ("flatcnn-4-plain", NetworkName("flatcnn", None, (4,), "plain")),
    ],
)
def test_a_name_is_taken_apart_and_put_together(name: str, parts: NetworkName) -> None:
    assert NetworkName.parse(name) == parts
    assert str(parts) == name


@pytest.mark.parametrize("name", ["", "mlp", "mlp-", "resnet20", "mlp-plain", "MLP-4", "mlp-4-8x", "mlp-4-plain-plain"])
def test_what_is_made_otherwise_is_no_name(name: str) -> None:
    assert NetworkName.parse(name) is None


def test_families_of_widths_are_those_that_are_built_without_a_depth() -> None:
    assert frozenset({"mlp", "cnn", "flatcnn"}) == OF_WIDTHS
    for family in OF_WIDTHS:
        check_network(f"{family}-4-4")
