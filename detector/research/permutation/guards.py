"""Is the merged classifier's guard better than a single network's, or the ensemble's? The benchmark's verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from detector.attacks.threat_models import fgsm, fmn, patch, pgd, pgd_l2, salt_and_pepper, square
from detector.calibration.inputs import CalibrationInputs
from detector.calibration.options import CalibrationOptions
from detector.classifiers.loading import load_classifier, tapped
from detector.evaluation.comparing import BETTER, EVADED, FIGURES, LEFT_AUROC, compare, guard_answers
from detector.evaluation.material import Material
from detector.evaluation.options import EvaluationOptions
from detector.research.permutation.combining import ENSEMBLE, MERGED
from detector.shards.recipe import GradientOrigin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from detector.attacks.threat_models import ThreatModel
    from detector.classifiers.options import SpecOptions
    from detector.data.source import ImageSet
    from detector.evaluation.comparing import Comparison, GuardAnswers
    from detector.metrics import Estimate
    from detector.progress import Progress

SINGLE: Final = "single"
JUDGED_BY: Final = (LEFT_AUROC, EVADED)
"""The figures that decide: how well attacks unlike those in training are told, and how many get through."""
_TRAINING = (fgsm(4), fgsm(8), pgd(2), pgd(8), pgd_l2(0.5), fmn(), square(8, queries=100), patch(steps=20))
_TESTS = (fgsm(8), pgd(2), pgd(4), pgd(8), pgd_l2(0.5), fmn(), square(8, queries=100), patch(), salt_and_pepper())


def quick_benchmark(*, doublings: int = 0, seed: int = 0) -> EvaluationOptions:
    """A few cheap attacks of five kins on few images, each also judged with its kin left out of training.

    Args:
        doublings: How often the budgets are doubled: small grey images need more than photographs.
        seed: Of all that is drawn.
    """
    training, tests = (tuple(_doubled(model, doublings) for model in models) for models in (_TRAINING, _TESTS))
    return EvaluationOptions(
        calibration=CalibrationOptions(attacks=training, attack_images=80, work_per_attack=10_000, seed=seed),
        models=tests,
        attack_images=60,
        work_per_attack=6_000,
        most_images=1_500,
        peers=False,
        adaptive_images=0,
        seed=seed,
    )


def _doubled(model: ThreatModel, times: int) -> ThreatModel:
    for _ in range(times):
        model = model.strengthened()
    return model


@dataclass(frozen=True, eq=False)
class Guards:
    """Guards of one family of networks on the same images.

    Args:
        comparison: Of `SINGLE`, `MERGED` and `ENSEMBLE`.
        forwards: Forwards of one network per image, by guard.
        milliseconds: Per image on this machine, by guard.
        singles: How many single networks were guarded; the mean of their figures stands for one.
    """

    comparison: Comparison
    forwards: Mapping[str, int]
    milliseconds: Mapping[str, float]
    singles: int

    def verdict(self, other: str) -> bool | None:
        """Whether the merged network's guard is better than another's: in one deciding figure, and worse in none.

        None where the intervals leave it open.
        """
        found = [better(name, self.comparison.difference(MERGED, other)[name]) for name in JUDGED_BY]
        if False in found:
            return None if True in found else False
        return True if True in found else None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready record."""
        written = {guard: _written(figures) for guard, figures in self.comparison.figures.items()}
        return {
            "images": self.comparison.images,
            "attacks": list(self.comparison.attacks),
            "single networks": self.singles,
            "figures": {
                guard: {**figures, "forwards": self.forwards[guard], "milliseconds": self.milliseconds[guard]}
                for guard, figures in written.items()
            },
            "merged less": {
                other: {"figures": _written(self.comparison.difference(MERGED, other)), "better": self.verdict(other)}
                for other in (SINGLE, ENSEMBLE)
            },
            "meaning": dict(FIGURES),
        }


def better(name: str, difference: Estimate) -> bool | None:
    """Whether a difference in a figure is for the better; None where its interval holds nothing too."""
    low, high = (difference.low, difference.high) if BETTER.get(name, True) else (-difference.high, -difference.low)
    if low > 0:
        return True
    return False if high < 0 else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Guarded:
    """What guards are calibrated on and attacked on, and how.

    Args:
        images: Labelled, none of which any of the networks has seen.
        labels: One name per class.
        spec: What is known of how the networks want their images.
        options: The benchmark's.
        threads: CPU threads of the classifiers.
    """

    images: ImageSet
    labels: tuple[str, ...]
    spec: SpecOptions
    options: EvaluationOptions
    threads: int | None = None


def benchmark(
    guarded: Guarded, programs: Mapping[str, Sequence[str | Path]], members: int, folder: Path, progress: Progress
) -> Guards:
    """Calibrate a guard of each classifier, attack it, and compare.

    Args:
        guarded: What on, and how.
        programs: The classifiers of `SINGLE`, `MERGED` and `ENSEMBLE`, as for `load_classifier`; several under one name
            are alike, and the mean of their figures is taken.
        members: Networks in the ensemble.
        folder: Where finished stages and bundles are kept.
        progress: Watches.

    Raises:
        CalibrationError: There are too few images.
        AnalysisError: No attack moved enough images.
        MissingExtraError: The attack libraries are not installed.
    """
    found = {
        name: [_answers(guarded, file, folder / f"{name}-{number}", progress) for number, file in enumerate(files, 1)]
        for name, files in programs.items()
    }
    cost = {name: members if name == ENSEMBLE else 1 for name in found}
    return Guards(
        comparison=compare(found, seed=guarded.options.seed),
        forwards={name: cost[name] * group[0].forwards for name, group in found.items()},
        milliseconds={name: sum(one.milliseconds for one in group) / len(group) for name, group in found.items()},
        singles=len(found[SINGLE]),
    )


def _answers(guarded: Guarded, file: str | Path, folder: Path, progress: Progress) -> GuardAnswers:
    progress.note(f"guard: {folder.name}")
    loaded = load_classifier(file, spec_options=guarded.spec, threads=guarded.threads)
    loaded = tapped(loaded, threads=guarded.threads)
    inputs = CalibrationInputs(loaded, loaded.gradients(), guarded.images, guarded.labels, GradientOrigin.of(file))
    return guard_answers(Material(inputs, guarded.options, folder / ".work", progress))


def _written(figures: Mapping[str, Estimate]) -> dict[str, list[float]]:
    return {name: [estimate.value, estimate.low, estimate.high] for name, estimate in figures.items()}
