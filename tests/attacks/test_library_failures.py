from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from detector.attacks.library import library_available, run_attack
from detector.attacks.threat_models import cw, fgsm, pgd
from detector.classifiers.base import ImageSpec
from detector.classifiers.torch import TorchClassifier
from detector.errors import MissingExtraError
from tests.support.tiny import TINY_SPEC, tiny_torch

if TYPE_CHECKING:
    from detector.attacks.threat_models import ThreatModel

IMAGES = np.full((2, *TINY_SPEC.shape), 0.5, np.float32)
LABELS = np.array([0, 1])


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = sys.modules
    for name in ("art", "art.attacks", "art.attacks.evasion"):
        monkeypatch.setitem(modules, name, None)


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("model", [fgsm(8), pgd(8)], ids=lambda model: model.name)
def test_a_missing_library_is_said_with_the_extra_that_brings_it(model: ThreatModel) -> None:
    assert not library_available()
    with pytest.raises(MissingExtraError, match=r"adversarial-robustness-toolbox: pip install 'isthmus\[attacks\]'"):
        run_attack(model, tiny_torch(), IMAGES, LABELS, seed=0)


@pytest.mark.usefixtures("no_library")
def test_carlini_and_wagner_need_no_library() -> None:
    assert run_attack(cw(0.1), tiny_torch(), IMAGES, LABELS, seed=0).shape == IMAGES.shape


class _FailsLater(torch.nn.Module):
    """Answers the few probes of a new classifier, then breaks in mid-attack, after drawing a number."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.broken:
            torch.rand(1)
            np.random.rand(1)  # noqa: NPY002 - as the library does
            raise RuntimeError("out of memory, say")
        return images.flatten(1)[:, :4] * 5 - 1


def test_a_failing_attack_leaves_the_global_generators_as_they_were() -> None:
    module = _FailsLater()
    classifier = TorchClassifier(module, ImageSpec(height=12, width=10))
    module.broken = True
    numbers, bits = np.random.get_state(legacy=False), torch.get_rng_state()  # noqa: NPY002 - this is what is tested
    with pytest.raises(Exception, match="out of memory, say"):
        run_attack(cw(0.1), classifier, IMAGES, LABELS, seed=0)
    np.testing.assert_equal(np.random.get_state(legacy=False), numbers)  # noqa: NPY002 - likewise
    assert torch.equal(torch.get_rng_state(), bits)
