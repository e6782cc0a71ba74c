"""The study of training: modes of untrained networks, and what training does to the barriers between them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from detector.embedded import labelled_digits
from detector.errors import AnalysisError
from detector.research.claims import Claim
from detector.research.connectivity.evolution import Watch, evolution_job
from detector.research.connectivity.modes import ModeOptions
from detector.research.connectivity.training_sections import evolution_section, untrained_section
from detector.research.connectivity.untrained import UntrainedOptions, untrained_job
from detector.research.studies import Study
from detector.training.data import LabelledImages
from detector.training.plan import Optimiser, TrainingPlan
from detector.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.classifiers.base import Float32Array
    from detector.research.studies import Workplace
    from detector.shards.stages import Arrays

_FALL = 10  # by which the barrier is to fall, both in training and in two rounds of bypasses
NAME: Final = "training"
_SOURCE = "Vrabel et al., {}"


@dataclass(frozen=True, kw_only=True)
class TrainingStudyOptions:
    """How training is studied.

    Args:
        images: What networks are trained on and tested with; None takes the workplace's own where they have labels,
            else scikit-learn's digits.
        architecture: As for `build_network`.
        networks: How many, each from a start and in an order of its own.
        at: Steps of training at which barriers are measured, rising from 0.
        test_share: Of the images, 0..1; a network is not trained on them.
        learning_rate: Adam's.
        batch: Of training.
        modes: How pairs of modes are made.
        rounds: Of bypasses between modes of untrained networks.
        points: Of the grid on a path.
        seed: Of the split; networks count up from it.

    Raises:
        AnalysisError: A value is out of range.
    """

    images: LabelledImages | None = None
    architecture: str = "flatcnn-16-32"
    networks: int = 3
    at: tuple[int, ...] = (0, 3, 10, 30, 100, 300)
    test_share: float = 0.25
    learning_rate: float = 1e-3
    batch: int = 128
    modes: ModeOptions = field(default_factory=ModeOptions)
    rounds: int = 2
    points: int = 51
    seed: int = 0

    def __post_init__(self) -> None:
        if self.networks < 1 or not 0 < self.test_share < 1:
            raise AnalysisError("training study: networks must be at least 1, test_share between 0 and 1")
        if self.rounds < 1:
            raise AnalysisError(f"training study: rounds must be at least 1, not {self.rounds}")
        if len(self.at) < 2 or self.at[0] != 0 or list(self.at) != sorted(set(self.at)):  # noqa: PLR2004 - from, to
            raise AnalysisError(f"training study: steps must rise from 0, not {list(self.at)}")

    def quick(self) -> TrainingStudyOptions:
        """The same for seconds: one network, one pair of each class, three looks."""
        at = tuple(sorted({0, self.at[len(self.at) // 2], self.at[-1]}))
        return replace(self, networks=1, at=at, modes=replace(self.modes, pairs=1))


def training_study(workplace: Workplace, options: TrainingStudyOptions) -> Study:
    """Study it.

    Args:
        workplace: Where.
        options: How.

    Raises:
        AnalysisError: There are too few images, or training diverges.
        CalibrationError: The disk refuses.
    """
    source, images, missing = _images(workplace, options)
    train, test = images.split(round(len(images) * (1 - options.test_share)), options.seed)
    recipes = [_recipe(train, options, options.seed + number) for number in range(options.networks)]
    shared = {"recipes": [recipe.to_json() for recipe in recipes], "modes": asdict(options.modes)}
    untrained = workplace.done(
        "training/untrained",
        lambda: untrained_job(
            recipes, UntrainedOptions(modes=options.modes, rounds=options.rounds, points=options.points)
        ),
        **shared,
        rounds=options.rounds,
        points=options.points,
    )
    watch = Watch(options.modes, test, options.points)
    evolution = workplace.done(
        "training/evolution",
        lambda: evolution_job(recipes, train, options.at, watch),
        **shared,
        at=list(options.at),
        test=test.digest,
        points=options.points,
    )
    what = f"{options.networks} x {options.architecture} on {source}, {untrained['heights'].shape[1]} pairs each"
    return Study(
        name=NAME,
        figures=_figures(what, untrained, evolution, options),
        arrays={f"untrained/{k}": v for k, v in untrained.items()}
        | {f"evolution/{k}": v for k, v in evolution.items()},
        sections=(untrained_section(untrained, what, train.classes), evolution_section(evolution, options.at, what)),
        claims=_claims(what, untrained, evolution, options),
        missing=missing,
    )


def _images(workplace: Workplace, options: TrainingStudyOptions) -> tuple[str, LabelledImages, tuple[str, ...]]:
    """What to call the images, they themselves, and why they are not others."""
    if options.images is not None:
        return f"{len(options.images)} images", options.images, ()
    inputs = workplace.inputs
    if inputs is not None and inputs.images.labels is not None:
        return f"the {len(inputs.images)} images given", LabelledImages.of(inputs.images, len(inputs.labels)), ()
    missing = () if inputs is None else ("training: the images given have no labels; digits were studied instead",)
    return "scikit-learn's digits", labelled_digits(), missing


def _recipe(train: LabelledImages, options: TrainingStudyOptions, seed: int) -> TrainingRecipe:
    plan = TrainingPlan(
        optimiser=Optimiser(learning_rate=options.learning_rate), steps=options.at[-1], batch=options.batch
    )
    return TrainingRecipe.of(options.architecture, train, plan, init_seed=seed, order_seed=seed)


def _figures(what: str, untrained: Arrays, evolution: Arrays, options: TrainingStudyOptions) -> dict[str, Any]:
    return {
        "what": what,
        "untrained": {
            "height_after_round": _means(untrained["heights"]),
            "end_loss": float(untrained["ends"].mean()),
            "end_loss_within_box": float(untrained["boxed_ends"].mean()),
            "cosine": float(untrained["cosines"].mean()),
            "distance": float(untrained["distances"].mean()),
        },
        "evolution": {
            "steps": list(options.at),
            "height": _by_step(evolution["heights"]),
            "height_deviation": evolution["heights"].std(axis=(0, 2)).tolist(),
            "end_loss": _by_step(evolution["ends"]),
            "area": _by_step(evolution["areas"]),
            "cosine": _by_step(evolution["cosines"]),
            "distance": _by_step(evolution["distances"]),
            "accuracy": evolution["accuracies"].mean(axis=0).tolist(),
        },
    }


def _means(values: Float32Array) -> list[float]:
    return [float(value) for value in values.mean(axis=(0, 1))]


def _by_step(values: Float32Array) -> list[float]:
    return [float(value) for value in values.mean(axis=(0, 2))]


def _claims(what: str, untrained: Arrays, evolution: Arrays, options: TrainingStudyOptions) -> tuple[Claim, ...]:
    first, *_, last = rounds = _means(untrained["heights"])
    heights, cosines = _by_step(evolution["heights"]), _by_step(evolution["cosines"])
    command = f"{what}; modes {'inside' if options.modes.within_box else 'not bound to'} the pixel box"
    low = float((untrained["heights"][..., -1] < 0.1).mean())  # noqa: PLR2004 - nats: the epsilon of real pairs
    return (
        Claim(
            claim="Modes of an untrained network are joined by paths of low loss after two rounds of bypasses.",
            source=_SOURCE.format("Sec. 4.3"),
            run=command,
            outcome=f"mean barrier {_written(rounds)} nats, {_fold(first, last)} in {options.rounds} rounds; "
            f"{low:.0%} of pairs end below 0.1 nats; end points {untrained['ends'].mean():.2g}",
            agrees=first > _FALL * last,
        ),
        Claim(
            claim="Training lowers the barrier between modes, from its first steps on.",
            source=_SOURCE.format("App. F.1"),
            run=command,
            outcome=f"mean barrier {_written(heights)} nats at steps {', '.join(map(str, options.at))}: "
            f"{_fold(heights[0], heights[-1])}; test accuracy {evolution['accuracies'][:, -1].mean():.3f}",
            agrees=heights[0] > _FALL * heights[-1],
        ),
        Claim(
            claim="Two modes of a class point the same way after training more than before.",
            source="a replication on MNIST: 0.04 before, 0.5 after",
            run=command,
            outcome=f"mean cosine {cosines[0]:.2f} before, {cosines[-1]:.2f} after",
            agrees=cosines[-1] > cosines[0],
        ),
    )


def _fold(before: float, after: float) -> str:
    return f"{before / after:.0f}-fold" if after > 0 else "to nothing"


def _written(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.2g}" for value in values)
