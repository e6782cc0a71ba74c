"""Attacks of the Adversarial Robustness Toolbox (ART, version 1.20)."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from detector.attacks.libraries import Logits, import_art
from detector.attacks.threat_models import POPULATION, Family, Norm, ThreatModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.attacks.target import Attack, Int64Array
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

_BATCH = 128
_STEP = 2.5  # a step is this many times budget / steps, so that the ball can be crossed
_FIRST_STEP = 2.0  # of Auto-PGD, times the budget, as in its paper
_COVERED = 0.8  # share of the image that Square's first squares cover, as in its paper
_NORMS = {Norm.LINF: np.inf, Norm.L2: 2}
_LOSSES = {Family.APGD_CE: "cross_entropy", Family.APGD_DLR: "difference_logits_ratio"}


def art_attack(model: ThreatModel, classifier: TorchClassifier) -> Attack:
    """Make one of this library's attacks ready.

    Args:
        model: Of a family in `ART_FAMILIES`.
        classifier: Differentiable; for a transfer attack the surrogate.

    Returns:
        What moves images. It draws from NumPy's global generator.

    Raises:
        MissingExtraError: The library is not installed.
    """
    return _MAKERS[model.family](model, classifier)


def _fast_gradient(model: ThreatModel, classifier: TorchClassifier) -> Attack:
    attack = import_art().FastGradientMethod(
        _wrap(classifier), norm=_NORMS[model.norm], eps=model.budget, batch_size=_BATCH
    )
    return _generator(attack)


def _projected(model: ThreatModel, classifier: TorchClassifier, *, starts: int = 1) -> Attack:
    return _generator(_descent(model, classifier, _NORMS[model.norm], _bound(model), starts))


def _descent(model: ThreatModel, classifier: TorchClassifier, norm: float, budget: float, starts: int) -> Any:
    return import_art().ProjectedGradientDescentPyTorch(
        _wrap(classifier),
        norm=norm,
        eps=budget,
        eps_step=_STEP * budget / model.steps,
        max_iter=model.steps,
        targeted=model.targeted,
        num_random_init=starts,
        batch_size=_BATCH,
        verbose=False,
    )


def _auto_projected(model: ThreatModel, classifier: TorchClassifier) -> Attack:
    attack = import_art().AutoProjectedGradientDescent(
        _wrap(classifier),
        norm=_NORMS[model.norm],
        eps=_bound(model),
        eps_step=_FIRST_STEP * _bound(model),
        max_iter=model.steps,
        nb_random_init=1,
        batch_size=_BATCH,
        loss_type=_LOSSES[model.family],
        verbose=False,
    )
    return _generator(attack)


def _square(model: ThreatModel, classifier: TorchClassifier) -> Attack:
    _, height, width = classifier.spec.shape
    # The library draws the corner of a square below side - square: a square as large as the shorter side is too large.
    largest = (min(height, width) - 1) ** 2 / (height * width)
    attack = import_art().SquareAttack(
        _wrap(classifier),
        norm=_NORMS[model.norm],
        eps=_bound(model),
        max_iter=model.steps,
        p_init=min(_COVERED, largest),
        batch_size=_BATCH,
        verbose=False,
    )
    return _generator(attack)


def _pixels(model: ThreatModel, classifier: TorchClassifier) -> Attack:
    import_art()
    from art.attacks.evasion import pixel_threshold

    genes = int(_bound(model)) * (2 + classifier.spec.channels)
    attack = pixel_threshold.PixelAttack(_wrap(classifier), th=int(_bound(model)), es=1, max_iter=model.steps)
    evolve = partial(
        pixel_threshold.differential_evolution,
        maxiter=model.steps - 1,  # the first generation is not counted
        popsize=max(1, POPULATION // genes),
        recombination=1,
        atol=-1,
        polish=False,
    )

    def move_one(image: Float32Array, label: np.int64, pixels: int) -> tuple[bool, Float32Array]:
        """The library's own search, but for its population of 400, which takes minutes for an image."""

        def confidence(genes: Any) -> Any:
            return attack.estimator.predict(attack.rescale_input(attack._perturb_image(genes, image)))[:, label]  # noqa: SLF001

        def done(genes: Any, convergence: float = 0) -> bool:
            del convergence
            return bool(attack._attack_success(genes, image, label))  # noqa: SLF001

        with np.errstate(divide="ignore"):  # it divides by the spread of confidences, which may be none
            found = evolve(confidence, attack._get_bounds(image, pixels)[0], callback=done).x  # noqa: SLF001
        return done(found), attack._perturb_image(found, image)[0]  # noqa: SLF001

    attack._attack = move_one  # noqa: SLF001 - the one place where the population is set
    return _generator(attack)


def _patch(model: ThreatModel, classifier: TorchClassifier) -> Attack:
    attack = _descent(model, classifier, np.inf, 1.0, 1)
    _, height, width = classifier.spec.shape
    side = min(max(1, round(math.sqrt(_bound(model) * height * width))), height, width)

    def move(images: Float32Array, labels: Int64Array) -> Float32Array:
        masks = np.zeros_like(images)
        # The generator the library draws from too, seeded by `run_attack`.
        tops = np.random.randint(0, height - side + 1, len(images))  # noqa: NPY002 - see above
        lefts = np.random.randint(0, width - side + 1, len(images))  # noqa: NPY002 - see above
        for mask, top, left in zip(masks, tops, lefts, strict=True):
            mask[:, top : top + side, left : left + side] = 1
        return attack.generate(x=images, y=labels, mask=masks)

    return move


_MAKERS: dict[Family, Callable[[ThreatModel, TorchClassifier], Attack]] = {
    Family.FGSM: _fast_gradient,
    Family.BIM: partial(_projected, starts=0),
    Family.PGD: _projected,
    Family.APGD_CE: _auto_projected,
    Family.APGD_DLR: _auto_projected,
    Family.SQUARE: _square,
    Family.ONE_PIXEL: _pixels,
    Family.PATCH: _patch,
    Family.TRANSFER: _projected,
}
ART_FAMILIES = frozenset(_MAKERS)
"""What is taken from this library."""


def _bound(model: ThreatModel) -> float:
    assert model.budget is not None, f"{model.name} needs a budget"
    return model.budget


def _generator(attack: Any) -> Attack:
    def move(images: Float32Array, labels: Int64Array) -> Float32Array:
        return attack.generate(x=images, y=labels)

    return move


def _wrap(classifier: TorchClassifier) -> Any:
    import_art()
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model=Logits(classifier),
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=classifier.spec.shape,
        nb_classes=len(classifier.labels),
        clip_values=(0.0, 1.0),
        device_type=classifier.device.type,
    )
