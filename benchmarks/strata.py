"""Who pays for false alarms: ``python -m benchmarks.strata CLASSIFIER GRADIENTS IMAGES --out FOLDER``.

A guard is calibrated and attacked once, as by ``isthmus evaluate --quick`` but on all images; what is measured is kept
in the folder and found there by the next run. Then the images that did not fit the scorer are split at random, again
and again, into those that set the thresholds and those that are judged by them, for each number of strata and each
proxy of difficulty. Strata are drawn by the images that fit the scorer. Rates are means over the splits, so that the
worst of several bins is the one that is worst on average, and `+-` is the spread from split to split; the column
`unluckiest` is the mean of each split's own worst bin, which chance alone puts above the target.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from detector.calibration.inputs import load_inputs
from detector.classifiers.options import SpecOptions
from detector.conformal import ConformalCalibration
from detector.corruptions import CORRUPTIONS, corrupt
from detector.evaluation.material import Material
from detector.evaluation.options import EvaluationOptions
from detector.metrics import auroc
from detector.profiles import path_losses
from detector.progress import Silence
from detector.scoring.runner import OnnxScorer
from detector.strata import Proxy, difficulty_of, quantile_strata

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.corruptions import Corruption
    from detector.shards.stages import Arrays

_BINS: Final = 5
_SUSPECT: Final = 0.05
_ADVERSARIAL: Final = 0.01


@dataclass(frozen=True, eq=False)
class Measured:
    """What is measured once.

    Args:
        fitting: float32 (n, classes), logits of the images that fit the scorer.
        logits: float32 (N, classes), of all others.
        labels: int64 (N,), what they show.
        scores: float32 (N,), of the guard.
        calibrating: How many of the N set thresholds.
        attacked: Per attack, the scores and logits of its successes.
        corrupted: Per everyday corruption, those of corrupted test images.
        prior_strength: Of `ConformalCalibration`.
    """

    fitting: Float32Array
    logits: Float32Array
    labels: NDArray[np.int64]
    scores: Float32Array
    calibrating: int
    attacked: dict[str, tuple[Float32Array, Float32Array]]
    corrupted: dict[str, tuple[Float32Array, Float32Array]]
    prior_strength: float


@dataclass(frozen=True, eq=False)
class Rates:
    """What thresholds in so many strata come to, over splits.

    Args:
        flagged: Per kind of bins: float64 (rates, splits, bins), shares of benign images flagged.
        everyone: float64 (rates,), of all bins together.
        caught: Per attack and per corruption: float64 (rates,), shares flagged.
        aurocs: float64 (attacks,), of p-values.
    """

    flagged: dict[str, NDArray[np.float64]]
    everyone: NDArray[np.float64]
    caught: dict[str, NDArray[np.float64]]
    aurocs: NDArray[np.float64]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("classifier", help="an ONNX file")
    parser.add_argument("gradients", help="the same as a torch.export program")
    parser.add_argument("images", help="labelled images that the classifier was not trained on")
    parser.add_argument("--out", type=Path, required=True, help="the folder for what is measured")
    parser.add_argument("--strata", type=int, nargs="*", default=[1, 2, 3, 5, 8, 10])
    parser.add_argument("--proxies", type=Proxy, nargs="*", default=list(Proxy))
    parser.add_argument("--splits", type=int, default=40)
    parser.add_argument("--attack-images", type=int, default=100)
    parser.add_argument("--controls", type=int, default=100, help="test images corrupted in each everyday way")
    parser.add_argument("--shown", type=int, default=5, help="strata whose detection is shown attack by attack")
    given = parser.parse_args()
    torch.set_num_threads(1)
    measured = _measured(given)
    bins = _bins(measured)
    runs = {
        (proxy, count): _rates(measured, proxy, count, bins, given.splits)
        for proxy in given.proxies
        for count in given.strata
        if count > 1 or proxy is given.proxies[0]
    }
    console = Console(width=200)
    console.print(_correlations(measured))
    for rate in range(2):
        console.print(_alarms(runs, list(measured.attacked), rate))
    proxy, shown = given.proxies[0], given.shown
    console.print(_detection(runs[proxy, 1], runs[proxy, shown], list(measured.attacked), shown))
    console.print(_controls(runs[proxy, 1], runs[proxy, shown], list(measured.corrupted), shown))


def _measured(given: argparse.Namespace) -> Measured:
    silence, controls = Silence(), given.controls
    inputs = load_inputs(
        given.classifier, given.images, spec=SpecOptions(), progress=silence, gradients=given.gradients, threads=1
    )
    options = replace(
        EvaluationOptions.quick(),
        most_images=None,
        attack_images=given.attack_images,
        work_per_attack=100 * given.attack_images,
    )
    material = Material(inputs, options, given.out / "work", silence)
    own, benign = material.measured, material.benign.detection
    rows = own.split.calibration
    scorer = OnnxScorer(material.detector.bundle.parts.scorer)
    scored = {name: attack.scored.detection for name, attack in material.attacked.items()}
    return Measured(
        fitting=own.logits[own.split.fit],
        logits=np.concatenate([own.logits[rows], benign.logits]),
        labels=np.concatenate([own.truth[rows], material.labels]),
        scores=np.concatenate([scorer.score(own.benign[rows]), benign.scores]),
        calibrating=len(rows),
        attacked={name: (found.scores, found.logits) for name, found in scored.items()},
        corrupted={corruption.name: _corrupted(material, corruption, controls) for corruption in CORRUPTIONS}
        if controls
        else {},
        prior_strength=material.calibration.prior_strength,
    )


def _corrupted(material: Material, corruption: Corruption, count: int) -> tuple[Float32Array, Float32Array]:
    """Scores and logits of the first test images, corrupted in one way."""

    def run() -> Arrays:
        images = corrupt(corruption, material.benign.images[:count], material.options.seed)
        found = material.detector.score_canonical(images)
        return {"scores": found.scores, "logits": found.logits}

    arrays, _ = material.store.run(
        f"strata {corruption.name}", run, images=count, prototypes=material.measured.walked_json
    )
    return arrays["scores"], arrays["logits"]


def _labelled(measured: Measured) -> Float32Array:
    """float32 (N,): the loss of the true class."""
    return path_losses(measured.logits.astype(np.float64), measured.labels).astype(np.float32)


def _bins(measured: Measured) -> dict[str, NDArray[np.int64]]:
    """Kinds of bins, int64 (N,) each: fifths by every proxy and by label, right and wrong answers, classes."""
    values = {proxy.value: difficulty_of(measured.logits, proxy) for proxy in Proxy} | {"label": _labelled(measured)}
    fifths = {
        name: quantile_strata(value, _BINS, least=0, proxy=Proxy.MARGIN).numbers(value)
        for name, value in values.items()
    }
    predicted = measured.logits.argmax(axis=1)
    return {**fifths, "wrong": (predicted != measured.labels).astype(np.int64), "class": predicted}


def _rates(measured: Measured, proxy: Proxy, count: int, bins: dict[str, NDArray[np.int64]], splits: int) -> Rates:
    strata = quantile_strata(difficulty_of(measured.fitting, proxy), count, least=0, proxy=proxy)
    difficulty, predicted = strata.difficulty(measured.logits), measured.logits.argmax(axis=1)
    known_kinds = {**measured.attacked, **measured.corrupted}
    flagged: dict[str, list[NDArray[np.float64]]] = {name: [] for name in bins}
    caught: dict[str, list[NDArray[np.float64]]] = {name: [] for name in known_kinds}
    everyone, aurocs = [], []
    targets = np.array([[_SUSPECT], [_ADVERSARIAL]])
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(measured.scores))
        known, judged = order[: measured.calibrating], order[measured.calibrating :]
        calibration = ConformalCalibration.of(
            measured.scores[known], measured.logits[known], strata, measured.prior_strength
        )
        p_values = calibration.p_values(measured.scores[judged], predicted[judged], difficulty[judged])
        alarms = p_values <= targets
        everyone.append(alarms.mean(axis=1))
        for name, numbers in bins.items():
            inside = numbers[judged]
            shares = [alarms[:, inside == number].mean(axis=1) for number in range(int(numbers.max()) + 1)]
            flagged[name].append(np.stack(shares, axis=1))
        found = []
        for name, (scores, logits) in known_kinds.items():
            theirs = calibration.p_values(scores, logits.argmax(axis=1), strata.difficulty(logits))
            caught[name].append((theirs <= targets).mean(axis=1))
            if name in measured.attacked:
                found.append(auroc((1 - p_values).astype(np.float32), (1 - theirs).astype(np.float32)))
        aurocs.append(found)
    return Rates(
        {name: np.stack(each, axis=1) for name, each in flagged.items()},
        np.mean(everyone, axis=0),
        {name: np.mean(each, axis=0) for name, each in caught.items()},
        np.mean(aurocs, axis=0),
    )


def _correlations(measured: Measured) -> Table:
    """What stands for difficulty best."""
    table = Table("proxy", "rank correlation with the loss of the true class", "with the guard's score")
    labelled = _labelled(measured)
    for proxy in Proxy:
        values = difficulty_of(measured.logits, proxy)
        pairs = [spearmanr(values, other).statistic for other in (labelled, measured.scores)]
        table.add_row(proxy.value, *(f"{value:.3f}" for value in pairs))
    return table


def _alarms(runs: dict[tuple[Proxy, int], Rates], attacks: Sequence[str], rate: int) -> Table:
    """False alarms of every run, and what it catches."""
    target = (_SUSPECT, _ADVERSARIAL)[rate]
    head = ["all", "by margin, worst fifth", "unluckiest", "by label, worst fifth", "wrong answers", "worst class"]
    table = Table("proxy", "strata", *head, "mean TPR", "mean AUROC of p-values", title=f"flagged at {target:.0%}")
    for (proxy, count), found in runs.items():
        margin, label, wrong, of_class = (found.flagged[kind][rate] for kind in ("margin", "label", "wrong", "class"))
        table.add_row(
            proxy.value if count > 1 else "none",
            f"{count}",
            f"{found.everyone[rate]:.2%}",
            _worst(margin),
            f"{margin.max(axis=1).mean():.1%}",
            _worst(label),
            f"{wrong[:, 1].mean():.1%}",
            _worst(of_class),
            f"{np.mean([found.caught[name][rate] for name in attacks]):.3f}",
            f"{found.aurocs.mean():.3f}",
        )
    return table


def _detection(one: Rates, several: Rates, attacks: Sequence[str], count: int) -> Table:
    """What strata catch, attack by attack, and what one set of thresholds does."""
    measures = ("TPR at 5%", "TPR at 1%", "AUROC of p-values")
    table = Table("attack", *(f"{what}, {strata}" for what in measures for strata in ("1 stratum", f"{count} strata")))
    for at, name in enumerate(attacks):
        cells = [run.caught[name][rate] for rate in range(2) for run in (one, several)]
        table.add_row(name, *(f"{cell:.2f}" for cell in [*cells, one.aurocs[at], several.aurocs[at]]))
    return table


def _controls(one: Rates, several: Rates, corruptions: Sequence[str], count: int) -> Table:
    """How often images are flagged that nobody attacked, but which are not as they were calibrated on."""
    names = (f"flagged at {rate}, {strata}" for rate in ("5%", "1%") for strata in ("1 stratum", f"{count} strata"))
    table = Table("corruption", *names)
    for name in corruptions:
        table.add_row(name, *(f"{run.caught[name][rate]:.1%}" for rate in range(2) for run in (one, several)))
    return table


def _worst(shares: NDArray[np.float64]) -> str:
    """The bin with the highest mean of (splits, bins), and its spread over splits."""
    at = int(shares.mean(axis=0).argmax())
    return f"{shares[:, at].mean():.1%} +- {shares[:, at].std():.1%}"


if __name__ == "__main__":
    main()
