"""Attacks of Foolbox (version 3.3; Rauber et al., arXiv 1707.04131), which runs a batch with one backward a step.

Those that look for the nearest wrong image end on the very boundary, where rounding to 256 levels decides by chance.
Their attacker is taken to know that: he goes on, in the direction found, as little as the rounded image needs.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch

from detector.attacks.libraries import Logits, import_foolbox
from detector.attacks.threat_models import CANDIDATES, EVALUATIONS, SEARCHES, Family, ThreatModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from detector.attacks.target import Attack, Int64Array
    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

_OVERSHOOTS = (1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)
_FIRST_WEIGHT = 0.5  # of the classification term against the distance
_STARTS = 100  # images of noise that HopSkipJump tries to begin from
_BLENDS = 50  # steps from an image to the noise
_SHIFT = 0.1  # of the image's side


def foolbox_attack(model: ThreatModel, classifier: TorchClassifier) -> Attack:
    """Make one of this library's attacks ready.

    Args:
        model: Of a family in `FOOLBOX_FAMILIES`.
        classifier: Differentiable.

    Returns:
        What moves images. It draws from the global generators of torch and NumPy. Images that are wrong already, and
        those that no attempt moved, come back as they were.

    Raises:
        MissingExtraError: The library is not installed.
    """
    foolbox = import_foolbox()
    wrapped = foolbox.PyTorchModel(Logits(classifier), bounds=(0, 1), device=classifier.device)
    attack = _MAKERS[model.family](foolbox, model, classifier)

    overshoots = _OVERSHOOTS if model.budget is None else _OVERSHOOTS[:1]

    def move(images: Float32Array, labels: Int64Array) -> Float32Array:
        originals = torch.tensor(images, device=classifier.device)
        truth = torch.tensor(labels, device=classifier.device)
        moved = originals.clone()
        right = torch.nonzero(~_wrong(wrapped, originals, truth))[:, 0]
        if len(right):
            found = _run(attack, wrapped, originals[right], truth[right])
            moved[right] = _surviving(wrapped, originals[right], found, truth[right], overshoots)
        return moved.cpu().numpy()

    return move


def _run(attack: Any, wrapped: Any, images: Tensor, labels: Tensor) -> Tensor:
    """What the library finds; an image it gives up comes back as it was."""
    with warnings.catch_warnings():
        # The spatial attack calls it as older versions of torch wanted.
        warnings.filterwarnings("ignore", category=UserWarning, message="torch.meshgrid")
        found = attack.run(wrapped, images, labels)
    given_up = (found == 0).flatten(1).all(1)  # CW and EAD hand back black images then, which may well look wrong
    return torch.where(_each(given_up), images, found)


def _surviving(wrapped: Any, images: Tensor, found: Tensor, labels: Tensor, overshoots: tuple[float, ...]) -> Tensor:
    """Each image moved the least that leaves it wrong when rounded, and rounded; as it was where nothing does."""
    best, rest = images.clone(), torch.arange(len(images), device=images.device)
    for overshoot in overshoots:
        pushed = (images[rest] + overshoot * (found[rest] - images[rest])).clamp(0, 1)
        pushed = (pushed * 255).round() / 255
        survives = _wrong(wrapped, pushed, labels[rest])
        best[rest[survives]] = pushed[survives]
        rest = rest[~survives]
        if not len(rest):
            break
    return best


def _wrong(wrapped: Any, images: Tensor, labels: Tensor) -> Tensor:
    return wrapped(images).argmax(1) != labels


def _each(choices: Tensor) -> Tensor:
    """Per image (N,), to be broadcast over its pixels."""
    return choices[:, None, None, None]


def _deep_fool(foolbox: Any, model: ThreatModel, classifier: TorchClassifier) -> Any:
    del classifier
    return foolbox.attacks.L2DeepFoolAttack(steps=model.steps, candidates=CANDIDATES, overshoot=0.02)


def _carlini_wagner(foolbox: Any, model: ThreatModel, classifier: TorchClassifier) -> Any:
    del classifier
    return foolbox.attacks.L2CarliniWagnerAttack(
        binary_search_steps=SEARCHES,
        steps=model.steps,
        stepsize=0.01,
        confidence=model.confidence,
        initial_const=_FIRST_WEIGHT,
        abort_early=False,  # it looks at the sum over the batch, so that images would decide for each other
    )


def _elastic_net(foolbox: Any, model: ThreatModel, classifier: TorchClassifier) -> Any:
    del classifier
    return foolbox.attacks.EADAttack(
        binary_search_steps=SEARCHES,
        steps=model.steps,
        initial_stepsize=0.01,
        confidence=model.confidence,
        initial_const=_FIRST_WEIGHT,
        regularization=0.01,
        abort_early=False,  # as above
    )


def _minimum_norm(foolbox: Any, model: ThreatModel, classifier: TorchClassifier) -> Any:
    del classifier
    # In Linf: this version's L2 attack does not project (its factor is norms / norms).
    return foolbox.attacks.LInfFMNAttack(steps=model.steps)


def _spatial(foolbox: Any, model: ThreatModel, classifier: TorchClassifier) -> Any:
    shift = _SHIFT * min(classifier.spec.height, classifier.spec.width)
    return foolbox.attacks.SpatialAttack(
        max_translation=shift, max_rotation=model.budget, grid_search=False, random_steps=model.steps
    )


def _salt_and_pepper(foolbox: Any, model: ThreatModel, classifier: TorchClassifier) -> Any:
    del classifier
    return foolbox.attacks.SaltAndPepperNoiseAttack(steps=model.steps)


class _HopSkipJump:
    """The library's attack from noise, on those images that some noise moves; the others come back as they were."""

    def __init__(self, foolbox: Any, model: ThreatModel, classifier: TorchClassifier) -> None:
        del classifier
        self._start = foolbox.attacks.LinearSearchBlendedUniformNoiseAttack(directions=_STARTS, steps=_BLENDS)
        self._walk = foolbox.attacks.HopSkipJumpAttack(steps=model.steps, initial_gradient_eval_steps=EVALUATIONS)
        self._estimate = self._walk.approximate_gradients
        self._walk.approximate_gradients = self._normalised

    def run(self, wrapped: Any, images: Tensor, labels: Tensor) -> Tensor:
        with warnings.catch_warnings():
            # That noise is not enough for some images is no news: they are told by their class below.
            warnings.filterwarnings("ignore", category=UserWarning, message=".*failed to draw sufficient random")
            started = self._start.run(wrapped, images, labels)
        usable = _wrong(wrapped, started, labels)
        moved = images.clone()
        if usable.any():
            moved[usable] = self._walk.run(wrapped, images[usable], labels[usable], starting_points=started[usable])
        return moved

    def _normalised(self, *arguments: Any) -> Any:
        """Each image's direction at length one; the library divides by the length of all the batch's together."""
        directions = self._estimate(*arguments)
        lengths = directions.raw.flatten(1).norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny)
        return directions / type(directions)(_each(lengths))


_MAKERS: dict[Family, Callable[[Any, ThreatModel, TorchClassifier], Any]] = {
    Family.DEEP_FOOL: _deep_fool,
    Family.CW: _carlini_wagner,
    Family.EAD: _elastic_net,
    Family.FMN: _minimum_norm,
    Family.HOP_SKIP_JUMP: _HopSkipJump,
    Family.SPATIAL: _spatial,
    Family.SALT_AND_PEPPER: _salt_and_pepper,
}
FOOLBOX_FAMILIES = frozenset(_MAKERS)
"""What is taken from this library."""
