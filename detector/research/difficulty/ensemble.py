"""Scores of several runs together: how many are right, how far they agree, and what training on an example changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import AnalysisError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RUNS = 2


@dataclass(frozen=True, eq=False)
class Agreement:
    """What runs together say of each example, raw.

    Args:
        meanacc: float64 (N,), the share of runs that are right.
        consensus: float64 (N,), the share of runs that say `label`.
        ddd: float64 (N,), 1 where all runs are right, -1 where all are wrong, else 0.
        label: int64 (N,), what most runs say, the smallest of those that as many say.
    """

    meanacc: NDArray[np.float64]
    consensus: NDArray[np.float64]
    ddd: NDArray[np.float64]
    label: NDArray[np.int64]


def agreement(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> Agreement:
    """What runs say at the end of training.

    Args:
        predicted: (runs, N), classes.
        labels: (N,).
        classes: How many there are.

    Raises:
        AnalysisError: There are fewer than two runs, or not one label for each example.
    """
    if len(predicted) < _RUNS or predicted.shape[1:] != labels.shape:
        raise AnalysisError(
            f"difficulty: agreement needs two runs and a label for each example, not {predicted.shape} and "
            f"{labels.shape}"
        )
    votes = np.zeros((len(labels), classes), np.int64)
    np.add.at(votes, (np.arange(len(labels)), predicted), 1)
    right = predicted == labels
    return Agreement(
        meanacc=right.mean(0),
        consensus=votes.max(1) / len(predicted),
        ddd=right.all(0).astype(np.float64) - (~right).all(0),
        label=votes.argmax(1).astype(np.int64),
    )


def consistency_and_memorisation(
    right: NDArray[np.bool_], trained_on: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How often runs are right about examples that they did not train on, and how much more often about those they did.

    Consistency is Jiang et al.'s (arXiv 2002.03206) at one size of the training set; memorisation is Feldman and
    Zhang's estimator (2008.03703, Sec. 2), over runs that each train on a random part.

    Args:
        right: (runs, N), whether a run is right at the end.
        trained_on: (runs, N), whether it trained on the example.

    Returns:
        float64 (N,) each, raw: 0..1 and -1..1.

    Raises:
        AnalysisError: Every run trained on some example, or none did.
    """
    inside, outside = trained_on.sum(0), (~trained_on).sum(0)
    if not inside.all() or not outside.all():
        raise AnalysisError("difficulty: every example needs a run that trained on it and one that did not; more runs")
    consistency = (right & ~trained_on).sum(0) / outside
    return consistency, (right & trained_on).sum(0) / inside - consistency


def parts(count: int, runs: int, folds: int, seed: int) -> NDArray[np.bool_]:
    """Which run trains on which example: every example is left out by as many runs as every other.

    Args:
        count: Of examples, at least as many as folds.
        runs: A multiple of `folds`.
        folds: A run leaves one part in as many out; at random, anew for every `folds` runs.
        seed: Of the choice.

    Returns:
        bool (runs, count).

    Raises:
        AnalysisError: There are fewer than two folds, more than examples, or runs are no multiple of them.
    """
    if not 2 <= folds <= count or runs < folds or runs % folds:  # noqa: PLR2004 - one fold would leave nothing
        raise AnalysisError(
            f"difficulty: folds must lie in 2..{count} and divide the runs on parts of the images, not {folds} for "
            f"{runs}"
        )
    generator = np.random.default_rng(seed)
    trained_on = np.ones((runs, count), bool)
    for first in range(0, runs, folds):
        for number, left_out in enumerate(np.array_split(generator.permutation(count), folds)):
            trained_on[first + number, left_out] = False
    return trained_on
