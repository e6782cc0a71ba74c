"""The kept attack libraries, imported when they are needed: the Adversarial Robustness Toolbox (ART) and Foolbox."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import torch

from detector.errors import MissingExtraError

if TYPE_CHECKING:
    from detector.classifiers.torch import TorchClassifier

_PURPOSE = "attacking the classifier"


class Logits(torch.nn.Module):
    """A classifier's differentiable logits as the module both libraries want."""

    def __init__(self, classifier: TorchClassifier) -> None:
        super().__init__()
        self._classifier = classifier
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Float32 (N, classes) of canonical images (N, channels, height, width)."""
        return self._classifier.differentiable_logits(images)


def library_available() -> bool:
    """Whether the attack libraries are installed."""
    try:
        import_art()
        import_foolbox()
    except MissingExtraError:
        return False
    return True


def import_art() -> Any:
    """The module ``art.attacks.evasion``.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        from art.attacks import evasion
    except ImportError as error:
        raise MissingExtraError("adversarial-robustness-toolbox", extra="attacks", purpose=_PURPOSE) from error
    return evasion


def import_foolbox() -> Any:
    """The module ``foolbox``.

    Raises:
        MissingExtraError: It is not installed.
    """
    # It brings GitPython for its model zoo, which else refuses to load where there is no git.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    try:
        with warnings.catch_warnings():
            # It takes scipy's filters from a place that scipy gives up in version 2.
            warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*scipy.ndimage")
            import foolbox
    except ImportError as error:
        raise MissingExtraError("foolbox", extra="attacks", purpose=_PURPOSE) from error
    return foolbox
