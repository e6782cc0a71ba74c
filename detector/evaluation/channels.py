"""The guard with only some of its evidence: what every channel adds, and what it costs.

Scorers are fitted on some of the features alone, on the same images and by the same protocol. They are also fitted with
every kin of attacks left out, so that each attack can be judged by a scorer that saw nothing like it.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from detector.calibration.fitting import ScorerFits
from detector.evaluation.protocol import BENIGN, CALIBRATION, MILLISECONDS, Graded, Judge
from detector.evaluation.results import ScorerResult
from detector.profiles import PathKind
from detector.scoring.features import feature_names
from detector.scoring.hidden_paths import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from detector.attacks.threat_models import Kin
    from detector.classifiers.base import Float32Array
    from detector.evaluation.material import Attacked, Material
    from detector.evaluation.results import Detected
    from detector.profiles import PathPlan
    from detector.scoring.fitted import FittedScorer
    from detector.shards.stages import Arrays

WITHOUT_PROTOTYPES = "all but prototypes"
IMAGE_AND_VIEW = "the image and a view alone"
IMAGE_ALONE = "the image alone"
RESIDUALS_ALONE = "noise residuals alone"
WITHOUT_TAPS = "all but taps: hidden paths in their place"
CHEAPER = (WITHOUT_PROTOTYPES, WITHOUT_TAPS, IMAGE_AND_VIEW, IMAGE_ALONE, RESIDUALS_ALONE)
"""Names of the channels that are no steps towards the whole guard, but parts of it that cost less or say it with fewer
numbers."""


@dataclass(frozen=True)
class Channel:
    """Some of the evidence.

    Args:
        name: In words.
        columns: int64, the features it reads.
        forwards: What it costs per image.
    """

    name: str
    columns: NDArray[np.int64]
    forwards: int


def channels(plan: PathPlan, taps: int, residuals: int = 0, hidden: int = 0) -> tuple[Channel, ...]:
    """Ever more evidence, prototype paths alone first, up to all of the plan; then the parts that are `CHEAPER`.

    Args:
        plan: Of the guard.
        taps: Numbers the classifier's taps give per image.
        residuals: Numbers the noise residuals give per image.
        hidden: Tapped layers whose hidden paths are read.
    """
    points = len(plan.alphas)
    kinds = [kind for kind in PathKind if any(target.kind is kind for target in plan.targets)]
    cost = {kind: points * sum(target.kind is kind for target in plan.targets) for kind in kinds}
    steps: list[tuple[str, list[str], int]] = [(_WORDS[kind], [kind.value], cost[kind]) for kind in kinds]
    if plan.views:
        steps.append(("other views", [view.value for view in plan.views], len(plan.views)))
    if plan.tapped and taps:
        steps.append(("taps", ["tap"], 0))
    if plan.residuals:
        steps.append(("noise residuals", ["residual"], 0))
    if hidden:
        steps.append(("hidden paths", [_HIDDEN], 0))
    names = feature_names(plan, taps, residuals, hidden)
    found, words, prefixes, forwards = [], [], ["image"], 1
    for word, more, price in steps:
        words.append(word)
        prefixes += more
        forwards += price
        title = f"{word} alone" if len(words) == 1 else f"and {word}"
        found.append(Channel(title, _columns(names, prefixes), forwards))
    without = _without_prototypes(names, prefixes, forwards, cost)
    if hidden:
        without += (Channel(WITHOUT_TAPS, _where(names, lambda channel, _: channel != "tap"), forwards),)
    return (*found, *without, *_looks(plan, names))


def _without_prototypes(
    names: tuple[str, ...], prefixes: list[str], forwards: int, cost: Mapping[PathKind, int]
) -> tuple[Channel, ...]:
    """All but the paths to prototypes, if there are any and if there is anything else."""
    prototypes = (PathKind.PROTOTYPE, PathKind.RUNNER_UP_PROTOTYPE)
    others = [prefix for prefix in prefixes if prefix not in {kind.value for kind in prototypes}]
    saved = sum(cost.get(kind, 0) for kind in prototypes)
    if not saved or others == ["image"]:
        return ()
    return (Channel(WITHOUT_PROTOTYPES, _columns(names, others), forwards - saved),)


def _looks(plan: PathPlan, names: tuple[str, ...]) -> Iterator[Channel]:
    """What is read without any path: at the image and one view of it, at the image, and in its pixels."""
    if plan.views:
        view = plan.views[0].value
        yield Channel(IMAGE_AND_VIEW, _where(names, lambda _, point: point in {"image", view}), 2)
    yield Channel(IMAGE_ALONE, _where(names, lambda _, point: point == "image"), 1)
    if plan.residuals:
        yield Channel(RESIDUALS_ALONE, _where(names, lambda channel, _: channel == "residual"), 0)


_WORDS = {
    PathKind.PROTOTYPE: "prototype paths",
    PathKind.RUNNER_UP_PROTOTYPE: "runner-up prototype paths",
    PathKind.BLUR: "blur path",
}

_HIDDEN = PREFIX.rstrip("_")
_BY_CHANNEL = {"tap", "residual", _HIDDEN}


def _columns(names: tuple[str, ...], prefixes: list[str]) -> NDArray[np.int64]:
    """Features of the points that start so; taps, residuals and hidden paths only where they are named."""
    return _where(names, lambda channel, point: (channel if channel in _BY_CHANNEL else point) in prefixes)


def _where(names: tuple[str, ...], wanted: Callable[[str, str], bool]) -> NDArray[np.int64]:
    """Features whose channel and point are wanted, told without brackets and colons; hidden paths are one channel."""
    parts = ([part.split("[")[0].split(":")[0] for part in name.split("@", 1)] for name in names)
    parts = ([_HIDDEN if channel.startswith(PREFIX) else channel, point] for channel, point in parts)
    return np.array([at for at, (channel, point) in enumerate(parts) if wanted(channel, point)], np.int64)


class Trials:
    """Scorers fitted and judged on the material.

    Args:
        material: The images and what was read of them.
    """

    def __init__(self, material: Material) -> None:
        self._material = material
        measured = material.measured
        self._calibration = measured.benign[measured.split.calibration]
        self._fits = ScorerFits(measured, seed=material.calibration.seed)
        self._kin = {model.kin for model, _ in measured.moved.values()}

    def fitted(self, columns: NDArray[np.int64], without: str | None = None) -> FittedScorer:
        """A scorer on some features, one kin of attacks left out of training."""
        return self._fits.fit(columns, without=without)

    def detected(
        self, columns: NDArray[np.int64], without: str | None = None
    ) -> tuple[dict[str, Detected], Judge, float]:
        """Attacks as a scorer on some features detects them; arguments and the rest as for `graded`."""
        attacked, judge, spent = self.graded(columns, without)
        return judge.judge(attacked), judge, spent

    def graded(self, columns: NDArray[np.int64], without: str | None = None) -> tuple[dict[str, Graded], Judge, float]:
        """Attacked images as a scorer on some features sees them; of one kin alone, where it is left out of training.

        What the scorer says is kept on disk, and found there by an evaluation that is run again.

        Returns:
            The successes of each attack, what judges them, and the scorer's own milliseconds per image.
        """
        material, measured = self._material, self._material.measured
        judged = {name: a for name, a in material.attacked.items() if without is None or a.model.kin == without}
        arrays, _ = material.store.run(
            "trial",
            lambda: self._scores(columns, without, judged),
            columns=columns.tolist(),
            without=without,
            features=self._features_digest,
            **material.scored_by,
        )
        strata = material.strata
        judge = Judge(
            calibration=Graded.of(arrays[CALIBRATION], measured.logits[measured.split.calibration], strata),
            benign=Graded.of(arrays[BENIGN], material.benign.detection.logits, strata),
            rates=material.detector.bundle.manifest.rates,
            prior_strength=material.calibration.prior_strength,
            strata=strata,
        )
        attacked = {name: Graded.of(arrays[name], a.scored.detection.logits, strata) for name, a in judged.items()}
        return attacked, judge, float(arrays[MILLISECONDS][0])

    def _scores(self, columns: NDArray[np.int64], without: str | None, judged: Mapping[str, Attacked]) -> Arrays:
        """What a scorer fitted on some features says of all images, and the milliseconds it takes for one."""
        scorer = self.fitted(columns, without)
        begin = time.perf_counter()
        calibration = scorer.score(self._calibration[:, columns])
        benign = scorer.score(self._material.benign.features[:, columns])
        spent = 1000 * (time.perf_counter() - begin) / (len(calibration) + len(benign))
        attacked = {name: scorer.score(a.scored.features[:, columns]) for name, a in judged.items()}
        return {CALIBRATION: calibration, BENIGN: benign, MILLISECONDS: np.array([spent])} | attacked

    @cached_property
    def _features_digest(self) -> str:
        """SHA-256 of all features that are judged; those that are fitted to decide the bundle's digest."""
        digest = hashlib.sha256(np.ascontiguousarray(self._material.benign.features).data)
        for name, attack in sorted(self._material.attacked.items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(attack.scored.features).data)
        return digest.hexdigest()

    def left_out(self, columns: NDArray[np.int64], included: Mapping[str, Detected]) -> dict[str, Detected]:
        """Every attack as judged by a scorer that saw nothing of its kin; empty without attacks in training.

        Args:
            columns: The features.
            included: The attacks as judged by the scorer that saw all of the training.
        """
        if not self._kin or not self._material.options.leave_out:
            return {}
        kin_of = {name: attack.model.kin for name, attack in self._material.attacked.items()}
        # Leaving out what was never in changes nothing.
        found = {name: figures for name, figures in included.items() if kin_of[name] not in self.kins}
        with self._material.progress.stage("Leaving attacks out of training", len(self.kins)) as advance:
            for kin in self.kins:
                figures, _, _ = self.detected(columns, kin)
                found |= figures
                advance(1)
        return found

    @property
    def kins(self) -> list[Kin]:
        """What there is to leave out: kins of attacks on the test images that are also in training."""
        return sorted({attack.model.kin for attack in self._material.attacked.values()} & self._kin)


def channel_results(material: Material, trials: Trials, milliseconds_per_forward: float) -> list[ScorerResult]:
    """Every channel on top of the ones before it."""
    bundle, residuals = material.detector.bundle, len(material.measured.residuals)
    hidden = bundle.parts.hidden_layers
    results = []
    for channel in channels(bundle.manifest.plan, material.detector.classifier.tap_count, residuals, hidden):
        material.progress.note(f"channels: {channel.name}, {channel.forwards} forwards")
        figures, judge, spent = trials.detected(channel.columns)
        results.append(
            ScorerResult(
                name=channel.name,
                source="",
                needs_attacks=bool(material.measured.attacked),
                forwards_per_image=channel.forwards,
                milliseconds_per_image=channel.forwards * milliseconds_per_forward + spent,
                attacks=figures,
                left_out=trials.left_out(channel.columns, figures),
                false_positives=judge.false_positives(),
            )
        )
    return results


def all_columns(features: Float32Array) -> NDArray[np.int64]:
    """Every feature."""
    return np.arange(features.shape[1])
