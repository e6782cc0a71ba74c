from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from detector.attacks.libraries import library_available
from detector.attacks.running import obstacle, run_attack
from detector.attacks.target import AttackTarget
from detector.attacks.threat_models import (
    THREAT_MODELS,
    apgd_dlr,
    cw,
    fgsm,
    hop_skip_jump,
    one_pixel,
    pgd,
    square,
    transfer,
    unconstrained,
)
from detector.classifiers.base import ChannelOrder, ImageSpec, PixelType
from detector.classifiers.torch import TorchClassifier
from detector.errors import GradientsUnavailableError, InvalidInputError, MissingExtraError
from tests.support.tiny import TINY_SPEC, tiny_torch

if TYPE_CHECKING:
    from detector.attacks.threat_models import ThreatModel

IMAGES = np.full((2, *TINY_SPEC.shape), 0.5, np.float32)
LABELS = np.array([0, 1])


@pytest.fixture
def no_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = sys.modules
    for name in request.param:
        monkeypatch.setitem(modules, name, None)


@pytest.mark.parametrize(
    ("no_library", "model", "package"),
    [
        (("art", "art.attacks", "art.attacks.evasion"), fgsm(8), "adversarial-robustness-toolbox"),
        (("art", "art.attacks", "art.attacks.evasion"), pgd(8), "adversarial-robustness-toolbox"),
        (("foolbox",), cw(0.5), "foolbox"),
    ],
    indirect=["no_library"],
)
@pytest.mark.usefixtures("no_library")
def test_a_missing_library_is_said_with_the_extra_that_brings_it(model: ThreatModel, package: str) -> None:
    assert not library_available()
    with pytest.raises(MissingExtraError, match=rf"{package}: pip install 'isthmus\[attacks\]'"):
        run_attack(model, AttackTarget(tiny_torch(), IMAGES, LABELS), seed=0)


@pytest.mark.parametrize("no_library", [("art", "art.attacks", "art.attacks.evasion", "foolbox")], indirect=True)
@pytest.mark.usefixtures("no_library")
def test_the_papers_own_attack_needs_no_library() -> None:
    target = AttackTarget(tiny_torch(), IMAGES, LABELS)
    assert run_attack(unconstrained(steps=2), target, seed=0).shape == IMAGES.shape


def test_a_transfer_attack_without_a_surrogate_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="target: Transfer-Linf-8/255 needs a surrogate"):
        run_attack(transfer(8), AttackTarget(tiny_torch(), IMAGES, LABELS), seed=0)


def _two_classes() -> TorchClassifier:
    torch.manual_seed(0)
    return TorchClassifier(nn.Sequential(nn.Flatten(), nn.Linear(360, 2)), TINY_SPEC)


@pytest.mark.parametrize("model", [apgd_dlr(8), one_pixel()], ids=lambda model: model.name)
def test_attacks_that_need_three_classes_say_so(model: ThreatModel) -> None:
    with pytest.raises(InvalidInputError, match="needs at least 3 classes"):
        run_attack(model, AttackTarget(_two_classes(), IMAGES, LABELS), seed=0)


@pytest.mark.parametrize("model", THREAT_MODELS, ids=lambda model: model.name)
def test_all_others_can_do_with_two_classes_and_an_image_that_is_wide_or_wrong_already(model: ThreatModel) -> None:
    classifier = _two_classes()
    target = AttackTarget(classifier, IMAGES, LABELS, classifier)
    if obstacle(model, target) is None:
        assert run_attack(model, target, seed=0).shape == IMAGES.shape
    else:
        assert model.name in str(obstacle(model, target))


class _Deaf(nn.Module):
    """Answers the same whatever it sees."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, :3] * 0 + torch.tensor([1.0, 0.0, -1.0])


@pytest.mark.parametrize("model", THREAT_MODELS, ids=lambda model: model.name)
def test_an_attack_on_a_classifier_that_never_errs_gives_up_quietly(model: ThreatModel) -> None:
    classifier = TorchClassifier(_Deaf(), ImageSpec(height=12, width=10))
    target = AttackTarget(classifier, IMAGES, np.zeros(2, np.int64), classifier)
    moved = run_attack(model, target, seed=0)
    assert moved.shape == IMAGES.shape
    if model.budget is None and not model.targeted:
        np.testing.assert_allclose(moved, IMAGES, rtol=0, atol=0.5 / 255 + 1e-6)


@pytest.mark.parametrize("model", [fgsm(8), square(8), hop_skip_jump(), unconstrained()], ids=lambda model: model.name)
def test_a_classifier_without_gradients_is_refused(model: ThreatModel) -> None:
    spec = ImageSpec(height=4, width=4, channel_order=ChannelOrder.GRAY, dtype=PixelType.UINT8, value_range=(0, 255))

    class Whole(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.float().flatten(1)[:, :4]

    target = AttackTarget(TorchClassifier(Whole(), spec), np.full((2, 1, 4, 4), 0.5, np.float32), LABELS)
    with pytest.raises(GradientsUnavailableError):
        run_attack(model, target, seed=0)


class _FailsLater(nn.Module):
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
        run_attack(cw(0.1), AttackTarget(classifier, IMAGES, LABELS), seed=0)
    np.testing.assert_equal(np.random.get_state(legacy=False), numbers)  # noqa: NPY002 - likewise
    assert torch.equal(torch.get_rng_state(), bits)
