"""Running threat models, with a kept library (the Adversarial Robustness Toolbox, ART) wherever it is usable."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from detector.attacks.carlini_wagner import CwOptions, carlini_wagner
from detector.attacks.threat_models import Family, Norm, ThreatModel
from detector.errors import MissingExtraError
from detector.images import to_canonical, to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.classifiers.torch import TorchClassifier

_BATCH = 128
_STEP = 2.5  # a step is this many times budget / steps, so that the ball can be crossed
_ART_NORMS = {Norm.LINF: np.inf, Norm.L2: 2}


def library_available() -> bool:
    """Whether the attack library is installed."""
    try:
        _import_library()
    except MissingExtraError:
        return False
    return True


def run_attack(
    model: ThreatModel,
    classifier: TorchClassifier,
    images: Float32Array,
    labels: NDArray[np.int64],
    *,
    seed: int,
    on_progress: Callable[[int], None] | None = None,
) -> Float32Array:
    """Attack images, and round the result to the 256 levels a service sees.

    Args:
        model: The attack.
        classifier: Differentiable.
        images: float32 (N, channels, height, width), canonical.
        labels: int64 (N,), classes to move away from.
        seed: Of the attack's random start.
        on_progress: Told the number of images done since it was told last.

    Returns:
        float32 (N, channels, height, width), canonical, whole multiples of 1/255; not all of them succeed.

    Raises:
        MissingExtraError: The attack library is not installed.
        GradientsUnavailableError: The classifier has no gradient.
    """
    attack = _build(model, classifier)
    attacked = np.empty_like(images)
    with _seeded(seed):
        for begin in range(0, len(images), _BATCH):
            rows = slice(begin, begin + _BATCH)
            attacked[rows] = attack.generate(x=images[rows], y=labels[rows])
            if on_progress:
                on_progress(len(images[rows]))
    return to_canonical(to_pixels(attacked), classifier.spec.shape)


def _build(model: ThreatModel, classifier: TorchClassifier) -> Any:
    if model.family is Family.CW:
        return _CarliniWagner(classifier, CwOptions(confidence=model.budget, steps=model.steps))
    evasion, estimator = _import_library(), _wrap(classifier)
    norm = _ART_NORMS[model.norm]
    if model.family is Family.FGSM:
        return evasion.FastGradientMethod(estimator, norm=norm, eps=model.budget, batch_size=_BATCH)
    return evasion.ProjectedGradientDescentPyTorch(
        estimator,
        norm=norm,
        eps=model.budget,
        eps_step=_STEP * model.budget / model.steps,
        max_iter=model.steps,
        num_random_init=1,
        batch_size=_BATCH,
        verbose=False,
    )


class _CarliniWagner:
    """The project's own attack behind the library's method."""

    def __init__(self, classifier: TorchClassifier, options: CwOptions) -> None:
        self._classifier = classifier
        self._options = options

    def generate(self, x: Float32Array, y: NDArray[np.int64]) -> Float32Array:
        images, labels = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y)
        return carlini_wagner(self._classifier, images, labels, self._options).numpy()


class _Logits(torch.nn.Module):
    """A classifier's differentiable logits as the module the library wants."""

    def __init__(self, classifier: TorchClassifier) -> None:
        super().__init__()
        self._classifier = classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._classifier.differentiable_logits(images)


def _wrap(classifier: TorchClassifier) -> Any:
    _import_library()
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(
        model=_Logits(classifier),
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=classifier.spec.shape,
        nb_classes=len(classifier.labels),
        clip_values=(0.0, 1.0),
        device_type=classifier.device.type,
    )


def _import_library() -> Any:
    try:
        from art.attacks import evasion
    except ImportError as error:
        raise MissingExtraError(
            "adversarial-robustness-toolbox", extra="attacks", purpose="attacking the classifier"
        ) from error
    return evasion


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the global generators, which are the only ones the library draws from, and put them back afterwards."""
    state = np.random.get_state()  # noqa: NPY002 - see above
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - see above
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002 - see above
