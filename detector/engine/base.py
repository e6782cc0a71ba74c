"""What an engine is: canonical images in, evidence out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from detector.errors import BundleError
from detector.residuals import residual_count
from detector.scoring.features import feature_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector.bundle import Bundle
    from detector.classifiers.base import Float32Array
    from detector.paths.straight import Barriers
    from detector.profiles import PathProfile


@dataclass(frozen=True, eq=False)
class Evidence:
    """What an engine finds on N images.

    Args:
        profile: Their path profiles.
        scores: float32 (N,), nats, >= 0; higher means more adversarial.
        p_values: float64 (N,) in (0, 1].
        barriers: On the paths to the prototypes of the predicted class.
        strata: int64 (N,), the stratum of difficulty that the p-value was taken in, 0 the easiest or the only one.
    """

    profile: PathProfile
    scores: Float32Array
    p_values: NDArray[np.float64]
    barriers: Barriers
    strata: NDArray[np.int64]


class Engine(Protocol):
    """Runs a bundle's guard. Safe to use from several threads."""

    @property
    def description(self) -> str:
        """One line for people: what runs, and on which device."""
        ...

    @property
    def device(self) -> str:
        """Where the classifier runs: as `Session.device`, or empty where that is not known."""
        ...

    def evidence(self, images: Float32Array) -> Evidence:
        """Walk and score.

        Args:
            images: float32 (N, channels, height, width), canonical, N >= 1.

        Raises:
            ClassifierError: The classifier failed, or put out something that is not finite.
        """
        ...


def check_features(bundle: Bundle, *, scorer: int, taps: int) -> None:
    """Check that a scorer reads what the walk gives.

    Args:
        bundle: Whose plan and images.
        scorer: Features the scorer reads.
        taps: Numbers the classifier's taps give.

    Raises:
        BundleError: It does not.
    """
    plan, statistics = bundle.manifest.plan, bundle.parts.statistics
    if statistics is not None and statistics.numbers != taps:
        raise BundleError(
            f"hidden paths are read from {statistics.numbers} numbers of taps, but the classifier's taps give {taps}"
        )
    wanted = len(feature_names(plan, taps, residual_count(bundle.manifest.spec.shape), bundle.parts.hidden_layers))
    if scorer != wanted:
        raise BundleError(
            f"the scorer reads {scorer} features, but the path plan and the classifier's taps give {wanted}"
        )
