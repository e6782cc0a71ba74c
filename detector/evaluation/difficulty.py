"""False alarms and detection by difficulty: does the promise hold among hard images, or only on average?

Images are put into bins of difficulty twice: by what the guard itself goes by, which takes no label, and by the loss of
the true class, which shows whether the first stands for difficulty at all. Beside the guard's own rates stand those
that one set of thresholds for all images, easy or hard, would have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from detector.calibration.stratifying import USUAL_STRATA
from detector.metrics import auroc_estimate, realised_share
from detector.profiles import path_losses
from detector.strata import ONE_STRATUM, Proxy, Strata, quantile_strata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.evaluation.material import Material
    from detector.metrics import Estimate, RealisedRate
    from detector.verdicts import TargetRates

LABELLED: Final = "loss of the true class, nats"
PROXIES: Final = {
    Proxy.MARGIN: "second logit minus first",
    Proxy.CONFIDENCE: "log-odds against the predicted class",
    Proxy.ENTROPY: "entropy of the answer, nats",
}
"""In words."""
_FEWEST: Final = 2  # attacked images, for an interval


@dataclass(frozen=True, eq=False)
class Placed:
    """N images in their bins.

    Args:
        numbers: int64 (N,), the bin of each, 0 the easiest.
        p_values: float64 (N,), the guard's.
        undivided: float64 (N,), what they would be were all calibration images one stratum.
    """

    numbers: NDArray[np.int64]
    p_values: NDArray[np.float64]
    undivided: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class DifficultyRow:
    """One bin.

    Args:
        low: Where it begins; None for the easiest.
        high: Where it ends; None for the hardest.
        suspect: Benign test images flagged at the SUSPECT rate.
        adversarial: The same at the ADVERSARIAL rate.
        undivided: The same at the SUSPECT rate, with one set of thresholds for easy and hard images.
        caught: Successfully attacked images flagged at the SUSPECT rate, all attacks together; None without any.
        caught_adversarial: The same at the ADVERSARIAL rate.
        caught_undivided: The same at the SUSPECT rate, with one set of thresholds for easy and hard images.
        auroc: Of p-values, attacked images against benign ones of the bin; None with fewer than two of a kind.
    """

    low: float | None
    high: float | None
    suspect: RealisedRate
    adversarial: RealisedRate
    undivided: RealisedRate
    caught: RealisedRate | None
    caught_adversarial: RealisedRate | None
    caught_undivided: RealisedRate | None
    auroc: Estimate | None


@dataclass(frozen=True, kw_only=True)
class DifficultyResult:
    """The bins by one kind of difficulty.

    Args:
        by: What is binned by.
        labelled: Whether that takes labels. Attacked images are then where the image was that they were made from;
            else where they are themselves.
        strata: How many strata of difficulty the guard has thresholds for.
        rows: The easiest first; bins without benign images are left out.
    """

    by: str
    labelled: bool
    strata: int
    rows: Sequence[DifficultyRow]


def difficulty_results(material: Material) -> tuple[DifficultyResult, ...]:
    """By what the guard goes by, and by the loss of the true class."""
    calibration, rates = material.detector.bundle.parts.calibration, material.detector.bundle.manifest.rates
    undivided = replace(calibration, strata=ONE_STRATUM)
    scored = [material.benign.detection, *(attack.scored.detection for attack in material.attacked.values())]
    together = [undivided.p_values(one.scores, one.predicted) for one in scored]
    strata = calibration.strata
    if strata.count == 1:
        fitting = strata.difficulty(material.measured.logits[material.measured.split.fit])
        strata = quantile_strata(fitting, USUAL_STRATA, least=0, proxy=strata.proxy)
    shown = [strata.numbers(strata.difficulty(one.logits)) for one in scored]
    losses = path_losses(material.benign.detection.logits.astype(np.float64), material.labels).astype(np.float32)
    by_loss = quantile_strata(losses, USUAL_STRATA, least=0, proxy=strata.proxy)
    of_source = by_loss.numbers(losses)
    labelled = [of_source, *(of_source[material.targets[attack.rows]] for attack in material.attacked.values())]
    found = []
    for by, bins, numbers in ((PROXIES[strata.proxy], strata, shown), (LABELLED, by_loss, labelled)):
        placed = [
            Placed(where, one.p_values, alone) for where, one, alone in zip(numbers, scored, together, strict=True)
        ]
        rows = difficulty_rows(bins, placed[0], placed[1:], rates)
        found.append(DifficultyResult(by=by, labelled=by == LABELLED, strata=calibration.strata.count, rows=rows))
    return tuple(found)


def difficulty_rows(
    bins: Strata, benign: Placed, attacked: Sequence[Placed], rates: TargetRates
) -> list[DifficultyRow]:
    """A row per bin with benign images.

    Args:
        bins: Where they begin and end.
        benign: Images nobody attacked.
        attacked: Successes of each attack.
        rates: Target false-positive rates.
    """
    edges = (None, *bins.edges, None)
    rows = []
    for number in np.unique(benign.numbers).tolist():
        own = benign.numbers == number
        theirs = [one.numbers == number for one in attacked]
        caught = np.concatenate([np.empty(0), *(one.p_values[at] for one, at in zip(attacked, theirs, strict=True))])
        alone = np.concatenate([np.empty(0), *(one.undivided[at] for one, at in zip(attacked, theirs, strict=True))])
        p_values = benign.p_values[own]
        rows.append(
            DifficultyRow(
                low=edges[number],
                high=edges[number + 1],
                suspect=realised_share(p_values <= rates.suspect),
                adversarial=realised_share(p_values <= rates.adversarial),
                undivided=realised_share(benign.undivided[own] <= rates.suspect),
                caught=_caught(caught, rates.suspect),
                caught_adversarial=_caught(caught, rates.adversarial),
                caught_undivided=_caught(alone, rates.suspect),
                auroc=_auroc(p_values, caught),
            )
        )
    return rows


def _caught(p_values: NDArray[np.float64], rate: float) -> RealisedRate | None:
    return realised_share(p_values <= rate) if len(p_values) else None


def _auroc(benign: NDArray[np.float64], attacked: NDArray[np.float64]) -> Estimate | None:
    if min(len(benign), len(attacked)) < _FEWEST:
        return None
    return auroc_estimate((1 - benign).astype(np.float32), (1 - attacked).astype(np.float32))
