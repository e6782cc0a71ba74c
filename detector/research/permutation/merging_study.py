"""The study of merging: does the mean of aligned networks make a better guard than one of them, or than all at once?"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from detector.classifiers.export import write_classifier
from detector.classifiers.options import SpecOptions
from detector.data.source import ImageSet
from detector.errors import AnalysisError
from detector.images import to_pixels
from detector.research.permutation.classifiers import MAX_NETWORKS, Networks
from detector.research.permutation.combining import ENSEMBLE, MERGED, combine
from detector.research.permutation.guards import SINGLE, Guarded, benchmark, quick_benchmark
from detector.research.permutation.merging import MergingOptions
from detector.research.permutation.merging_claims import merging_claims
from detector.research.permutation.merging_sections import Family, merging_charts, merging_sections
from detector.research.studies import Study
from detector.training.architectures import check_network
from detector.training.classifiers import FineTuning, fine_tuned, from_scratch
from detector.training.kinds import OptimiserKind, ScheduleKind
from detector.training.plan import Optimiser, Schedule, TrainingPlan
from detector.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from detector.classifiers.torch import TorchClassifier
    from detector.evaluation.options import EvaluationOptions
    from detector.research.studies import Workplace
    from detector.training.data import LabelledImages

NAME: Final = "merging"
SEEDS: Final = "from different seeds"
TUNED: Final = "fine-tuned from one"
_BATCH = 128


@dataclass(frozen=True, kw_only=True, eq=False)
class MergingStudyOptions:
    """How merging is studied.

    Args:
        images: What networks are trained on and guarded with.
        architecture: As for `build_network`.
        networks: How many are merged.
        epochs: Times every image is seen from a random start.
        tuned_epochs: Times every image is seen when a trained network is trained further.
        learning_rate: SGD's largest from a random start; a tenth of it further on.
        train_share: Of the images, 0..1; the rest measure barriers, and calibrate and attack guards.
        merging: How networks are merged.
        points: Of the lines on which barriers are measured, both ends included.
        guards: How guards are calibrated and attacked to be compared; None compares none. Small grey images need
            larger budgets than photographs.
        seed: Of the split; networks count up from it.

    Raises:
        AnalysisError: A value is out of range, or there is no such network.
    """

    images: LabelledImages
    architecture: str = "mlp-256-256"
    networks: int = 3
    epochs: int = 12
    tuned_epochs: int = 2
    learning_rate: float = 0.1
    train_share: float = 0.6
    merging: MergingOptions = field(default_factory=MergingOptions)
    points: int = 11
    guards: EvaluationOptions | None = field(default_factory=lambda: quick_benchmark(doublings=2))
    seed: int = 0

    def __post_init__(self) -> None:
        check_network(self.architecture)
        if not 2 <= self.networks <= MAX_NETWORKS:  # noqa: PLR2004 - two to merge
            raise AnalysisError(f"merging: networks must lie in 2..{MAX_NETWORKS}, not {self.networks}")
        if min(self.epochs, self.tuned_epochs) < 1 or not 0 < self.train_share < 1:
            raise AnalysisError("merging: epochs must be at least 1, train_share between 0 and 1")
        if self.points < 2:  # noqa: PLR2004 - both ends
            raise AnalysisError(f"merging: points must be at least 2, not {self.points}")
        self.merging.parts(self.networks)

    def small(self) -> MergingStudyOptions:
        """The same for a minute: shortly trained, five points, no guards."""
        return replace(self, epochs=min(self.epochs, 4), tuned_epochs=1, points=5, guards=None)

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        plain = {name: value for name, value in vars(self).items() if name not in {"images", "merging", "guards"}}
        return {
            **plain,
            "images": self.images.digest,
            "merging": self.merging.to_json(),
            "guards": None if self.guards is None else self.guards.to_json(),
        }


def study(workplace: Workplace, options: MergingStudyOptions) -> Study:
    """Study it.

    Args:
        workplace: Where; its classifier is not asked. Networks are written to its folder.
        options: How.

    Raises:
        AnalysisError: There are too few images, training diverges, or the networks have no symmetries.
        CalibrationError: There are too few images for guards, or the disk refuses.
    """
    train, held_out = options.images.split(round(len(options.images) * options.train_share), options.seed)
    seeds = [_trained(workplace, options, train, number) for number in range(options.networks)]
    tuned = [_tuned(workplace, options, train, seeds[0], number) for number in range(options.networks)]
    families = tuple(
        _family(workplace, options, name, classifiers, (train, held_out))
        for name, classifiers in ((SEEDS, seeds), (TUNED, tuned))
    )
    what = (
        f"{options.networks} x {options.architecture}, {options.epochs} epochs on {len(train)} images, or "
        f"{options.tuned_epochs} more from one of them; {len(held_out)} held-out images"
    )
    charts = merging_charts(families)
    return Study(
        name=NAME,
        figures={"what": what, "families": {family.name: family.to_json() for family in families}},
        arrays=_arrays(families),
        sections=merging_sections(families, charts, what),
        charts=charts,
        claims=merging_claims(families, what),
    )


def _trained(workplace: Workplace, options: MergingStudyOptions, train: LabelledImages, number: int) -> TorchClassifier:
    plan = _plan(train, options.epochs, options.learning_rate)
    seed = options.seed + number
    recipe = TrainingRecipe.of(options.architecture, train, plan, init_seed=seed, order_seed=seed)
    with workplace.progress.stage(f"Training network {number + 1}", plan.steps) as advance:
        return from_scratch(recipe, train, store=workplace.store, advance=advance)


def _tuned(
    workplace: Workplace, options: MergingStudyOptions, train: LabelledImages, start: TorchClassifier, number: int
) -> TorchClassifier:
    plan = _plan(train, options.tuned_epochs, options.learning_rate / 10)
    tuning = FineTuning(copy.deepcopy(start), plan, options.seed + number)
    with workplace.progress.stage(f"Fine-tuning network {number + 1}", plan.steps) as advance:
        return fine_tuned(tuning, train, store=workplace.store, advance=advance)


def _plan(train: LabelledImages, epochs: int, rate: float) -> TrainingPlan:
    return TrainingPlan(
        optimiser=Optimiser(kind=OptimiserKind.SGD, learning_rate=rate, weight_decay=1e-4),
        schedule=Schedule(kind=ScheduleKind.COSINE),
        steps=epochs * -(-len(train) // _BATCH),
        batch=_BATCH,
    )


def _family(
    workplace: Workplace,
    options: MergingStudyOptions,
    name: str,
    classifiers: Sequence[TorchClassifier],
    parts: tuple[LabelledImages, LabelledImages],
) -> Family:
    train, held_out = parts
    names = [f"network {number}" for number in range(1, len(classifiers) + 1)]
    combined = combine(
        Networks.of(names, classifiers),
        options.merging,
        train,
        held_out,
        points=options.points,
        progress=workplace.progress,
    )
    if options.guards is None:
        return Family(name, combined, None)
    folder = workplace.folder / NAME / name.replace(" ", "-")
    singles: list[str | Path] = [
        write_classifier(classifier, folder, f"network-{number}")[0] for number, classifier in enumerate(classifiers, 1)
    ]
    whole = {MERGED: combined.classifier, ENSEMBLE: combined.ensemble}
    programs = {SINGLE: singles} | {key: [write_classifier(each, folder, key)[0]] for key, each in whole.items()}
    guarded = Guarded(
        images=_image_set(held_out),
        labels=classifiers[0].labels,
        spec=SpecOptions(),
        options=options.guards,
    )
    return Family(name, combined, benchmark(guarded, programs, len(classifiers), folder / ".work", workplace.progress))


def _image_set(images: LabelledImages) -> ImageSet:
    """The images as guards are calibrated with."""
    return ImageSet(
        pixels=to_pixels(images.canonical),
        labels=images.labels,
        names=tuple(f"images[{number}]" for number in range(len(images))),
    )


def _arrays(families: Sequence[Family]) -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, np.ndarray[Any, Any]] = {}
    for family in families:
        place = family.name.replace(" ", "-")
        barriers = family.combined.barriers
        tables = {"naive": barriers.naive, "direct": barriers.direct, "via": barriers.via, "agree": barriers.agreement}
        found |= {f"{place}/{key}": table for key, table in tables.items()}
    return found
