from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn

from detector.classifiers.base import ChannelOrder, ImageSpec, OutputKind
from detector.classifiers.torch import TorchClassifier
from detector.errors import AnalysisError
from detector.research.permutation.architecture import program_of, state_under

SPEC = ImageSpec(height=6, width=6, channel_order=ChannelOrder.GRAY)
IMAGES = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def _layers(width: int = 5, kernel: int = 3) -> list[nn.Module]:
    side = 8 - kernel + 1
    return [
        nn.Conv2d(1, width, kernel, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(width * side * side, 3),
    ]


def _network(width: int = 5, *, kernel: int = 3, named: bool = False, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = _layers(width, kernel)
    if named:
        return nn.Sequential(OrderedDict(zip(("stem", "norm", "act", "flat", "head"), layers, strict=True))).eval()
    return nn.Sequential(*layers).eval()


def _classifier(module: nn.Module, spec: ImageSpec = SPEC, kind: OutputKind = OutputKind.LOGITS) -> TorchClassifier:
    return TorchClassifier(module, spec, output_kind=kind)


def test_tensors_are_found_by_where_they_are_used_not_by_their_names() -> None:
    one = program_of(_classifier(_network()), IMAGES, name="one")
    other = program_of(_classifier(_network(named=True, seed=1)), IMAGES, name="other")
    state = state_under(one, other, IMAGES)
    assert torch.equal(state["0.weight"], other.state["stem.weight"])
    assert torch.equal(state["1.running_var"], other.state["norm.running_var"])
    torch.testing.assert_close(one.logits(IMAGES, state), other.logits(IMAGES))


@pytest.mark.parametrize(
    ("module", "match"),
    [
        (_network(6), r"0\.weight has the shape \(5, 1, 3, 3\), and .* \(6, 1, 3, 3\)"),
        (_network(kernel=4), r"0\.weight has the shape \(5, 1, 3, 3\), and .* \(5, 1, 4, 4\)"),
        (
            nn.Sequential(*_layers()[:3], nn.Tanh(), *_layers()[3:]).eval(),
            "one with the other's tensors, which fit, answers otherwise",
        ),
    ],
)
def test_networks_that_do_other_things_are_told_apart(module: nn.Module, match: str) -> None:
    one = program_of(_classifier(_network()), IMAGES, name="one")
    other = program_of(_classifier(module), IMAGES, name="other")
    with pytest.raises(AnalysisError, match=f"^they are of different architectures: {match}"):
        state_under(one, other, IMAGES)


def test_a_program_takes_canonical_images_and_gives_logits_whatever_its_classifier_wants() -> None:
    spec = ImageSpec(height=6, width=6, channel_order=ChannelOrder.GRAY, value_range=(0.0, 255.0), mean=(9.0,))
    probabilities = nn.Sequential(_network(), nn.Softmax(1)).eval()
    classifier = _classifier(probabilities, spec, OutputKind.PROBABILITIES)
    program = program_of(classifier, IMAGES, name="one")
    torch.testing.assert_close(program.logits(IMAGES), torch.from_numpy(classifier.logits(IMAGES.numpy())))


def test_neither_the_order_of_operations_nor_work_in_place_makes_another_architecture() -> None:
    class Written(nn.Module):
        def __init__(self, *, first: bool) -> None:
            super().__init__()
            self.a, self.b, self.last = nn.Conv2d(1, 3, 3), nn.Conv2d(1, 3, 3), nn.Linear(48, 3)
            self._first = first

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if self._first:
                led = self.b(images)
                features = self.a(images) + led
            else:
                features = self.a(images[:])
                features += self.b(images)
            logits: torch.Tensor = self.last(features.flatten(1))
            return logits

    one, other = (program_of(_classifier(Written(first=first).eval()), IMAGES, name="one") for first in (True, False))
    torch.testing.assert_close(one.logits(IMAGES, state_under(one, other, IMAGES)), other.logits(IMAGES))


def test_networks_between_whose_constants_nothing_can_be_mixed_are_refused() -> None:
    def shifted(by: float) -> nn.Module:
        class Shifted(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = _network()
                self.by = torch.tensor([by])

            def forward(self, images: torch.Tensor) -> torch.Tensor:
                logits: torch.Tensor = self.inner(images - self.by)
                return logits

        return Shifted().eval()

    one, other = (program_of(_classifier(shifted(by)), IMAGES, name="one") for by in (0.1, 0.2))
    assert state_under(one, one, IMAGES)
    with pytest.raises(AnalysisError, match="which fit, answers otherwise"):
        state_under(one, other, IMAGES)
