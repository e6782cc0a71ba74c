"""What the studies of difficulty are told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from detector.data.source import choose
from detector.errors import AnalysisError
from detector.research.difficulty.kinds import Scored
from detector.research.difficulty.observing import Watch
from detector.research.difficulty.runs_job import looked_at
from detector.research.difficulty.statistics_options import StatisticsOptions
from detector.training.architectures import check_network
from detector.training.options import PlanOptions
from detector.training.recipe import TrainingRecipe

if TYPE_CHECKING:
    from detector.training.data import LabelledImages

MAX_RUNS: Final = 1000
MAX_ARCHITECTURES: Final = 50
MAX_LEVELS: Final = 50
MAX_NUMBERS: Final = 2**28
"""Of what is held at once of one kind: pixels whose gradients are followed, or scores of all runs."""
GREY: Final = ("mlp-128", "mlp-128-128-128-128", "flatcnn-4-8", "flatcnn-8-16")
COLOUR: Final = ("mlp-256-128", "flatcnn-16-32", "resnet8-8")
BATCH: Final = 64
_QUICK_IMAGES = 400


@dataclass(frozen=True, kw_only=True, eq=False)
class DifficultyOptions:
    """What is trained, and what of it is scored.

    Args:
        images: Labelled; of two classes or more.
        names: Of the images, one each; empty numbers them.
        class_names: One each; empty numbers them.
        architectures: Networks' names, as for `build_network`, each once; empty for those that suit the images.
        training: How they are trained.
        runs: Of each, that differ in their seeds alone.
        scored: Which images are scored.
        test_share: Of the images, 0..1, that no run is trained on where held-out images are scored.
        gradients: Checkpoints, evenly over training, at which gradients are taken, at most all; 0 leaves
            their scores out.
        probes: Training images among which neighbours are looked for; 0 leaves scores of hidden layers out.
        levels: How often each run's network is pruned, a fifth of its weights each time, and trained again, which costs
            as many trainings more; 0 leaves scores of pruning out.
        folds: Of the runs on parts of the images, of each architecture: each leaves one part in as many out.
        listed: Most images in a list of the report.
        statistics: How scores are analysed.
        quick: Whether the smallest sizes are taken that still show something.
        seed: Of the split and of all runs.

    Raises:
        AnalysisError: A value is out of range.
    """

    images: LabelledImages
    names: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    training: PlanOptions = field(default_factory=lambda: PlanOptions(learning_rate=0.05, batch=BATCH))
    runs: int = 12
    scored: Scored = Scored.TRAINING
    test_share: float = 0.2
    gradients: int = 4
    probes: int = 1000
    levels: int = 0
    folds: int = 4
    listed: int = 100
    statistics: StatisticsOptions = field(default_factory=StatisticsOptions)
    quick: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.classes < 2:  # noqa: PLR2004 - one class has no difficulty
            raise AnalysisError("difficulty: images of two classes or more are needed")
        if (self.names and len(self.names) != count) or len(self.class_names) not in {0, self.images.classes}:
            raise AnalysisError("difficulty: a name for each image and for each class is needed, or none")
        if len(set(self.architectures)) != len(self.architectures) or len(self.architectures) > MAX_ARCHITECTURES:
            raise AnalysisError(f"difficulty: architectures must differ and be at most {MAX_ARCHITECTURES}")
        for architecture in self.architectures:
            check_network(architecture)
        if not 1 <= self.runs <= MAX_RUNS or not 0 < self.test_share < 1 or self.listed < 1:
            raise AnalysisError(
                f"difficulty: runs must lie in 1..{MAX_RUNS}, test_share between 0 and 1, listed be at least 1"
            )
        if min(self.gradients, self.probes) < 0 or not 0 <= self.levels <= MAX_LEVELS:
            raise AnalysisError(f"difficulty: gradients and probes must not be negative, levels lie in 0..{MAX_LEVELS}")
        if not 2 <= self.folds <= MAX_RUNS:  # noqa: PLR2004 - one would leave nothing to train on
            raise AnalysisError(f"difficulty: folds must lie in 2..{MAX_RUNS}, not {self.folds}")
        pixels = count * self.images.shape[1] * self.images.shape[2]
        if self.gradients > 1 and pixels > MAX_NUMBERS:
            raise AnalysisError(
                f"difficulty: gradients of {pixels} pixels would be followed at once, at most {MAX_NUMBERS} can be; "
                "take fewer images, or gradients=0"
            )

    @cached_property
    def sized(self) -> DifficultyOptions:
        """These, or where they are quick the same for seconds: few images, epochs, runs and networks."""
        if not self.quick:
            return self
        chosen = self.chosen
        rows = choose(self.images.labels, len(self.images), _QUICK_IMAGES, self.seed)
        return replace(
            self,
            images=self.images.take(rows),
            names=tuple(self.names[row] for row in rows) if self.names else (),
            architectures=tuple(dict.fromkeys((chosen[0], chosen[-2 if len(chosen) > 2 else -1]))),  # noqa: PLR2004
            training=replace(self.training, epochs=min(self.training.epochs, 4), batch=min(self.training.batch, 16)),
            runs=min(self.runs, 6),
            gradients=min(self.gradients, 2),
            probes=min(self.probes, 200),
            levels=min(self.levels, 2),
            statistics=self.statistics.small(),
            quick=False,
        )

    @property
    def chosen(self) -> tuple[str, ...]:
        """The architectures."""
        return self.architectures or (GREY if self.images.shape[0] == 1 else COLOUR)

    @cached_property
    def watch(self) -> Watch:
        """What is looked at in every run: a checkpoint after every epoch.

        Raises:
            AnalysisError: There are too few images to hold some out.
        """
        images, held_out = self.images, None
        if self.scored is Scored.HELD_OUT:
            images, held_out = self.images.split(round(len(self.images) * (1 - self.test_share)), self.seed)
        epochs = self.training.epochs
        gradients = min(self.gradients, epochs)
        return Watch(
            images=images,
            held_out=held_out,
            checkpoints=epochs,
            gradients=tuple(step - 1 for step in looked_at(epochs, gradients)),
            probes=self.probes,
            levels=self.levels,
            seed=self.seed,
        )

    def recipes(self, architecture: str, images: LabelledImages, runs: int, *, first: int = 0) -> list[TrainingRecipe]:
        """Runs of an architecture; no two of an analysis share a seed.

        Args:
            architecture: One of `chosen`.
            images: What they are trained on.
            runs: How many.
            first: The number of the first.

        Raises:
            AnalysisError: There is no such network, or too many steps.
        """
        begin = ((self.seed * MAX_ARCHITECTURES) + self.chosen.index(architecture)) * 2 * MAX_RUNS + first
        plan = self.training.plan(images)
        return [
            TrainingRecipe.of(architecture, images, plan, init_seed=seed, order_seed=seed)
            for seed in range(begin, begin + runs)
        ]

    @property
    def what(self) -> str:
        """What is analysed, in words."""
        scored = f"scored on {len(self.watch.scored)} held-out ones" if self.watch.held_out else "scored on these"
        return (
            f"{self.runs} runs each of {', '.join(self.chosen)}, {self.training.epochs} epochs on "
            f"{len(self.watch.images)} images, {scored}"
        )

    def to_json(self) -> dict[str, Any]:
        """All values, JSON-ready; images by their digest."""
        plain = {
            name: getattr(self, name)
            for name in ("runs", "test_share", "gradients", "probes", "levels", "folds", "listed")
        }
        return {
            "images": self.images.digest,
            "architectures": list(self.chosen),
            **self.training.to_json(),
            "scored": self.scored.value,
            **plain,
            "statistics": self.statistics.to_json(),
            **({"scores left out": list(missing)} if (missing := self.sized.watch.missing) else {}),
            "quick": self.quick,
            "seed": self.seed,
        }
