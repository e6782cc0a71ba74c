from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from detector.classifiers.program import Program
from detector.errors import AnalysisError
from detector.research.permutation import rules
from detector.research.permutation.spec import identity, permuted
from detector.research.permutation.tracing import derive_spec
from tests.research.permutation.networks import mlp

IMAGES = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_network_without_hidden_layers_has_no_symmetry() -> None:
    with pytest.raises(AnalysisError, match="none of its units can be permuted"):
        derive_spec(Program.of(mlp(), IMAGES, name="network"), IMAGES)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused_by_name(value: float) -> None:
    module = mlp(6)
    with torch.no_grad():
        module.get_parameter("3.weight")[2, 1] = value
    with pytest.raises(AnalysisError, match=r"^mine: 3\.weight holds what is no finite number$"):
        derive_spec(Program.of(module, IMAGES, name="mine"), IMAGES, name="mine")


def test_a_rule_that_is_wrong_is_found_out_and_the_layer_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_if_elementwise(units: object, value: torch.Tensor, args: tuple[object, ...]) -> object:
        del units
        return type(args[0])(value, args[0].labels)  # type: ignore[attr-defined, call-arg]

    class Summing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Linear(64, 8), nn.Linear(8, 9), nn.Linear(9, 5)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.second(torch.cumsum(self.first(images.flatten(1)), 1)).relu())

    monkeypatch.setitem(rules._RULES, "cumsum", as_if_elementwise)
    with pytest.raises(AnalysisError, match=r"permuting the units of first\.weight changes what it computes"):
        derive_spec(Program.of(Summing(), IMAGES, name="network"), IMAGES)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"1.weight": torch.zeros(3, 3)}, r"^mine: 1\.weight has the shape \(3, 3\), not \(6, 64\)"),
        ({"1.bias": torch.full((6,), torch.nan)}, r"^mine: 1\.bias holds what is no finite number"),
        ({"1.bias": None}, r"^mine: has no tensor 1\.bias"),
    ],
)
def test_what_is_no_network_of_the_architecture_is_refused(
    change: dict[str, torch.Tensor | None], message: str
) -> None:
    module = mlp(6)
    spec = derive_spec(Program.of(module, IMAGES, name="network"), IMAGES)
    changed = {name: value for name, value in ({**module.state_dict(), **change}).items() if value is not None}
    with pytest.raises(AnalysisError, match=message):
        spec.check(changed, name="mine")


@pytest.mark.parametrize(
    ("permutations", "message"),
    [
        ({"nobody": np.arange(6)}, "there is no group nobody"),
        ({"1.weight": np.zeros(6, np.int64)}, r"1\.weight needs a permutation of 6 units"),
        ({"1.weight": np.arange(5)}, r"1\.weight needs a permutation of 6 units"),
    ],
)
def test_what_is_no_permutation_is_refused(permutations: dict[str, np.ndarray], message: str) -> None:
    module = mlp(6)
    spec = derive_spec(Program.of(module, IMAGES, name="network"), IMAGES)
    assert set(identity(spec)) == {"1.weight"}
    with pytest.raises(AnalysisError, match=message):
        permuted(spec, module.state_dict(), permutations)
