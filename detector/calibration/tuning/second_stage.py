"""A second stage: does it take more bypasses to connect an attacked image to its class than a benign one?

Tried on images that the guard can't decide, whose p-values lie between the ADVERSARIAL rate and `_UNDECIDED`. Each is
joined to the first prototype of its predicted class by chains of bypasses (Vrabel et al., Sec. 3.2). That takes
gradients, which nothing that serves has, so it is a question of research, asked and answered at each calibration.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import rankdata
from sklearn.linear_model import LogisticRegression

from detector.calibration.stratifying import draw_strata
from detector.calibration.tuning.decisions import Subject, Tried, TuningDecision, decide
from detector.calibration.tuning.quality import Contest, Quality, mean_auroc
from detector.conformal import ConformalCalibration
from detector.errors import GradientsUnavailableError
from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions, connect
from detector.shards.base import Job, shards
from detector.shards.jobs import Stage, run_stages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detector.calibration.measuring import Measurements
    from detector.calibration.tuning.evidence import Source
    from detector.calibration.tuning.thresholds import CrossFitted
    from detector.classifiers.base import Float32Array
    from detector.paths.chains import Chains
    from detector.progress import Advance
    from detector.shards.base import Models, Shard
    from detector.shards.stages import Arrays

UNDECIDED: Final = 0.5
"""The largest p-value of an image that counts as undecided: further up, nothing speaks against it."""
CHAINS: Final = ChainOptions(epsilon=0.1, rounds=2, points=17, segment_points=7, bypass=BypassOptions(steps=64))
_FEWEST = 10  # undecided images of each kind, for an AUROC to say anything
_SHARD = 16
_FOLDS = 5
_PENALTY = 10.0  # inverse, of the regression
_BACKWARD = 2  # forwards that a backward pass is worth
_SURE = 1.959964  # standard errors
FIRST_STAGE: Final = "the first stage alone"
_WITH: Final = "the first stage with"
NUMBERS: Final = ("segments", "height", "detour", "straight_height")
"""What a chain is told by: segments and the largest loss after the last round, how far its waypoints lie from the
straight path (as a share of its length), and the largest loss on the straight path."""
_WORDS = {
    "segments": "segments needed",
    "height": "height left after bypasses",
    "detour": "displacement of the bypass",
    "straight_height": "barrier height of the straight path",
}


@dataclass(frozen=True, eq=False)
class Undecided:
    """Images the first stage does not decide.

    Args:
        pixels: float32 (n, channels, height, width), canonical.
        classes: int64 (n,), what the classifier takes them for.
        scores: float32 (n,), of the first stage.
        images: int64 (n,), which images they are or were made from.
        attacks: The attack of each, empty for a benign one.
    """

    pixels: Float32Array
    classes: NDArray[np.int64]
    scores: Float32Array
    images: NDArray[np.int64]
    attacks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Chained:
    """What the shards of chains share, and what one of them has: images and the prototypes they are joined to."""

    images: Float32Array
    ends: Float32Array
    classes: NDArray[np.int64]


def decide_second_stage(
    measured: Measurements, scored: CrossFitted, attacks: Mapping[str, Source], *, most: int, strength: float
) -> TuningDecision | str:
    """Try whether the numbers of chains tell benign from attacked where the first stage does not.

    Args:
        measured: Under the options that were chosen, with gradients.
        scored: What the first stage says of images that fit the scorer.
        attacks: Where the attacked ones are.
        most: Benign and attacked images each, at most.
        strength: Of the p-values.

    Returns:
        The decision, or why there can be none.
    """
    found = undecided(measured, scored, attacks, most=most, strength=strength)
    attacked = np.array([bool(name) for name in found.attacks], bool)
    kinds = (int((~attacked).sum()), int(attacked.sum()))
    if min(kinds) < _FEWEST:
        return (
            f"a second stage was not tried: {kinds[0]} benign and {kinds[1]} attacked images are undecided, and "
            f"{_FEWEST} of each are needed"
        )
    numbers = chain_numbers(measured, found)
    forwards = measured.plan.forwards_per_image
    price = forwards + chain_cost(CHAINS)
    total = len(measured.inputs.images.pixels)
    tried = [Tried(FIRST_STAGE, forwards, _told(found.scores, attacked, found.images, total))]
    for name in NUMBERS:
        both = _combined(np.stack([found.scores, numbers[name]], axis=1), attacked, seed=measured.options.seed)
        for title, scores in ((f"the {_WORDS[name]} alone", numbers[name]), (f"{_WITH} the {_WORDS[name]}", both)):
            tried.append(Tried(title, price, _told(scores, attacked, found.images, total), "needs gradients"))
    decision = decide(
        Subject.SECOND_STAGE,
        tried,
        standing=FIRST_STAGE,
        measure=f"AUROC among undecided images (p-value above {measured.options.rates.adversarial:g}, at most "
        f"{UNDECIDED:g})",
        images=f"{kinds[0]} benign and {kinds[1]} attacked that fit the scorer, scored by one that did not see them",
    )
    return _explained(decision)


def _explained(decision: TuningDecision) -> TuningDecision:
    """With what the second stage would add, rather than that it can't be had."""
    best = min((one for one in decision.candidates if one.name.startswith(_WITH)), key=lambda one: one.behind)
    gain = f"{-best.behind:+.3f}, give or take {best.behind_error:.3f}"
    if -best.behind > _SURE * best.behind_error:
        return replace(decision, why=f"it needs no gradients, which nothing that serves has; {best.name}: {gain}")
    return replace(decision, why=f"nothing was shown to tell them apart better; {best.name}: {gain}")


def undecided(
    measured: Measurements, scored: CrossFitted, attacks: Mapping[str, Source], *, most: int, strength: float
) -> Undecided:
    """Images whose p-value is above the ADVERSARIAL rate and at most `UNDECIDED`.

    An image's p-value is taken against the benign images of its half, itself among them if it is one.
    """
    low = measured.options.rates.adversarial
    by_half = [scored.half == half for half in (0, 1)]
    logits = measured.logits[scored.images]
    strata, _ = draw_strata(logits, max(1, min(int(rows.sum()) for rows in by_half)), measured.options)
    fitted = [ConformalCalibration.of(scored.benign[rows], logits[rows], strata, strength) for rows in by_half]

    def between(scores: Float32Array, logits: Float32Array, half: NDArray[np.int64]) -> NDArray[np.int64]:
        classes, difficulty = logits.argmax(axis=1), strata.difficulty(logits)
        p_values = np.where(half == 0, *(one.p_values(scores, classes, difficulty) for one in fitted))
        return np.flatnonzero((p_values > low) & (p_values <= UNDECIDED))

    classes = logits.argmax(axis=1)
    rows = between(scored.benign, logits, scored.half)[:most]
    pixels = [measured.images_at(scored.images[rows])] if len(rows) else []
    parts = [(scored.benign[rows], scored.images[rows], classes[rows], np.full(len(rows), ""))]
    share = -(-most // max(1, len(scored.attacked)))
    for name, (scores, images) in scored.attacked.items():
        moved = attacks[name].moved.images
        answers = measured.inputs.loaded.classifier.logits(moved)
        rows = between(scores, answers, scored.attacked_half[name])[:share]
        pixels.append(moved[rows])
        parts.append((scores[rows], images[rows], answers[rows].argmax(axis=1), np.full(len(rows), name)))
    scores, images, reached, names = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Undecided(np.concatenate(pixels), reached, scores, images, tuple(names.tolist()))


def chain_numbers(measured: Measurements, found: Undecided) -> dict[str, Float32Array]:
    """Join images to the first prototype of their class: float32 (n,) for each of `NUMBERS`."""
    ends = measured.prototypes.images[found.classes, 0]

    def part(shard: Shard) -> Chained:
        rows = shard.rows
        return Chained(found.pixels[rows], ends[rows], found.classes[rows])

    def job() -> Job:
        return Job("Bypassing barriers", _chain, None, part, shards(len(found.pixels), _SHARD))

    depends = {
        **measured.walked_json,
        "images": found.images.tolist(),
        "attacks": list(found.attacks),
        "attack_images": measured.options.attack_images,
        "work_per_attack": measured.options.work_per_attack,
    }
    (done,) = run_stages([Stage("second stage", job, depends)], measured.store, measured.runner, measured.progress)
    return dict(done.arrays)


def _chain(models: Models, shared: None, part: Chained, advance: Advance) -> Arrays:
    del shared
    if models.gradients is None:
        raise GradientsUnavailableError("barriers can't be bypassed without gradients")
    chains = connect(models.classifier, models.gradients, part.images, part.ends, part.classes, options=CHAINS)
    advance(len(part.images))
    return {
        "segments": chains.segments[:, -1].astype(np.float32),
        "height": chains.heights[:, -1],
        "detour": detours(chains),
        "straight_height": chains.heights[:, 0],
    }


def detours(chains: Chains) -> Float32Array:
    """float32 (P,): how far the furthest waypoint lies from the straight path, as a share of its length."""
    return np.array([_detour(points.reshape(len(points), -1)) for points in chains.waypoints], np.float32)


def _detour(points: Float32Array) -> float:
    along = points[-1] - points[0]
    length = float(np.linalg.norm(along))
    if length == 0:
        return 0.0
    offset = points - points[0]
    beside = offset - np.outer(offset @ along / length**2, along)
    return float(np.linalg.norm(beside, axis=1).max()) / length


def chain_cost(options: ChainOptions) -> int:
    """The most forwards that a chain costs, a backward pass counting as two."""
    forwards = options.points
    for number in range(1, options.rounds + 1):
        segments = 2 ** (number - 1)
        steps = options.bypass.steps + 1
        forwards += segments * (steps + options.bypass.steps * _BACKWARD + 2 * options.points_of(number))
    return forwards


def _told(scores: Float32Array, attacked: NDArray[np.bool_], images: NDArray[np.int64], total: int) -> Quality:
    """How well scores tell the attacked from the benign."""
    contest = Contest("undecided", scores[~attacked], images[~attacked], scores[attacked], images[attacked])
    return mean_auroc([contest], total)


def _combined(numbers: Float32Array, attacked: NDArray[np.bool_], *, seed: int) -> Float32Array:
    """A logistic regression's score of each image on the numbers' ranks, by one that was fitted without it."""
    generator = np.random.default_rng(seed)
    scores = np.empty(len(attacked), np.float32)
    ranks = rankdata(numbers, axis=0) / len(numbers)
    parts = generator.permutation(len(attacked)) % _FOLDS
    for part in range(_FOLDS):
        rest = parts != part
        fitted = LogisticRegression(C=_PENALTY, class_weight="balanced").fit(ranks[rest], attacked[rest])
        scores[~rest] = fitted.decision_function(ranks[~rest])
    return scores
