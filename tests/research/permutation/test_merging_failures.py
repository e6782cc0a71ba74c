from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from detector.classifiers.torch import TorchClassifier
from detector.errors import AnalysisError
from detector.research.permutation.classifiers import MAX_NETWORKS, Networks
from detector.research.permutation.kinds import By
from detector.research.permutation.merging import MergingOptions
from tests.research.permutation.merging_support import SPEC, classifier
from tests.research.permutation.networks import mlp, shared


def _together(*others: TorchClassifier) -> Networks:
    return Networks.of(["first", *(f"other-{n}" for n in range(len(others)))], [classifier(0), *others])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reference": -1}, "reference: a network's number, not -1"),
        ({"shares": (0.5, 0.4)}, "shares: none negative and 1 in all, not 0.5, 0.4"),
        ({"shares": (1.5, -0.5)}, "shares: none negative"),
        ({"shares": (float("nan"), 1.0)}, "shares: none negative"),
        ({"repeated": True, "by": By.ACTIVATIONS}, "by weights alone"),
    ],
)
def test_options_that_make_no_sense_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        MergingOptions(**fields)  # type: ignore[arg-type] # fields of several types


def test_options_for_other_networks_are_refused() -> None:
    with pytest.raises(AnalysisError, match="there are 3 networks, and no number 4"):
        MergingOptions(reference=3).parts(3)
    with pytest.raises(AnalysisError, match=r"one for each of 3 networks, not 0\.5, 0\.5"):
        MergingOptions(shares=(0.5, 0.5)).parts(3)


def test_one_network_or_too_many_are_refused() -> None:
    for count in (1, MAX_NETWORKS + 1):
        with pytest.raises(AnalysisError, match=f"2 to {MAX_NETWORKS} are taken, not {count}"):
            Networks.of(["net"] * count, [classifier(0)] * count)


def test_another_width_is_refused_by_the_tensor() -> None:
    with pytest.raises(
        AnalysisError, match=r"^other-0: .*: 1\.weight has the shape \(12, 64\), and .* 1\.weight \(7, 64\)"
    ):
        _together(classifier(1, lambda: mlp(7, 9)))


def test_more_or_fewer_layers_are_refused_by_the_tensor() -> None:
    with pytest.raises(
        AnalysisError, match=r"^other-0: .*: one uses 6 tensors, the other 4; only one of them has 5\.bias"
    ):
        _together(classifier(1, lambda: mlp(12)))
    with pytest.raises(
        AnalysisError, match=r"^other-1: .*: one uses 6 tensors, the other 8; only one of them has 7\.bias"
    ):
        _together(classifier(1), classifier(1, lambda: mlp(12, 9, 8)))


def test_the_same_tensors_used_otherwise_are_refused() -> None:
    def bent() -> nn.Module:
        layers = list(mlp(12, 9))
        layers[2] = nn.Tanh()
        return nn.Sequential(*layers)

    with pytest.raises(
        AnalysisError, match=r"^other-0: .*: one with the other's tensors, which fit, answers otherwise"
    ):
        _together(classifier(1, bent))


def test_what_only_one_network_shares_is_refused() -> None:
    def unshared() -> nn.Module:
        layers = list(shared())
        layers[5] = nn.Linear(12, 12)
        return nn.Sequential(*layers)

    with pytest.raises(AnalysisError, match=r"^b: .*; only one of them has 5\.bias"):
        Networks.of(["a", "b"], [classifier(0, shared), classifier(1, unshared)])


def test_weights_that_are_no_numbers_are_refused_by_name() -> None:
    spoilt = classifier(1)
    with torch.no_grad():
        spoilt.module.get_parameter("3.bias")[2] = torch.nan
    with pytest.raises(AnalysisError, match=r"^other-0: .* 3\.bias holds what is no finite number"):
        _together(spoilt)


def test_another_convention_is_refused() -> None:
    with pytest.raises(AnalysisError, match=r"^other-0: takes images .*merge networks of one kind"):
        _together(TorchClassifier(mlp(12, 9), replace(SPEC, std=(0.5,))))
    with pytest.raises(AnalysisError, match=r"^other-0: takes 4 images at once; export it for any number"):
        _together(TorchClassifier(mlp(12, 9), SPEC, fixed_batch=4))
