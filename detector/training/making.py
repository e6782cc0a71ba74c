"""From labelled images to a classifier in files: the whole way, as `isthmus train` goes it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from detector.classifiers.gradients import load_torch_source
from detector.classifiers.options import SpecOptions
from detector.data.alignment import align_labels
from detector.data.reading import names_for, read_images
from detector.errors import AnalysisError
from detector.shards.stages import StageStore
from detector.training.classifiers import FineTuning, accuracy, fine_tuned, from_scratch, keep_classifier
from detector.training.data import LabelledImages
from detector.training.kinds import ScheduleKind
from detector.training.plan import Adversary, Augmentation, Optimiser, Schedule, TrainingPlan
from detector.training.recipe import TrainingRecipe
from detector.versions import tool_versions

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.torch import TorchClassifier
    from detector.data.source import ImageSet
    from detector.progress import Progress

WORK: Final = ".work"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A classifier that is to be made.

    Args:
        images: Labelled, to train on; as for `open_images`.
        test: Others, to measure accuracy on; None measures none.
        start: A ``.pt2`` program or a factory that is trained further; None starts a new network.
        state: Weights for a factory.
        architecture: Of a new network, as for `build_network`.
        shape: Of a new network's images: (channels, height, width).
        limit: Most images trained on.
        epochs: Times every image is seen.
        batch: Images of a step.
        optimiser: Whose steps.
        augmentation: How images are changed.
        adversarial: Most by which images are moved against the classifier while it learns, in 255ths, reached half-way
            through; None leaves them.
        attack_steps: Gradient steps of each such attack.
        seed: Of a random start, the order of images and the choice of them.

    Raises:
        AnalysisError: There is neither a start nor an architecture with a shape, or both, or no epoch.
    """

    images: str
    test: str | None = None
    start: str | None = None
    state: Path | None = None
    architecture: str | None = None
    shape: tuple[int, int, int] | None = None
    limit: int | None = None
    epochs: int = 10
    batch: int = 128
    optimiser: Optimiser
    augmentation: Augmentation
    adversarial: float | None = None
    attack_steps: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.start is None) == (self.architecture is None):
            raise AnalysisError("give a classifier to train further, or the architecture of a new one")
        if (self.architecture is None) != (self.shape is None):
            raise AnalysisError("the shape of images belongs to a new network")
        if self.epochs < 1:
            raise AnalysisError(f"epochs must be at least 1, not {self.epochs}")

    def plan(self, images: int) -> TrainingPlan:
        """How so many images are trained on: one cycle of the rate for a new network, else half a cosine."""
        kind = ScheduleKind.ONE_CYCLE if self.start is None else ScheduleKind.COSINE
        steps = self.epochs * -(-images // self.batch)
        adversary = None
        if self.adversarial is not None:
            adversary = Adversary(level=self.adversarial, steps=self.attack_steps, ramp=steps // 2)
        return TrainingPlan(
            optimiser=self.optimiser,
            schedule=Schedule(kind=kind),
            steps=steps,
            batch=self.batch,
            augmentation=self.augmentation,
            adversary=adversary,
        )


@dataclass(frozen=True)
class Made:
    """A classifier that was made.

    Args:
        description: What it is.
        images: It was trained on.
        steps: It was trained for.
        before: Accuracy on the test images of the classifier that was trained further, 0..1; None where there was none.
        after: Likewise, of what was made; None without test images.
    """

    description: str
    images: int
    steps: int
    before: float | None
    after: float | None


def make(wanted: Wanted, folder: Path, progress: Progress) -> Made:
    """Train a classifier and write it.

    Args:
        wanted: Which.
        folder: Where to; what is needed to go on after an interruption is kept there until all is done.
        progress: Watches.

    Raises:
        IsthmusError: Images, classifier or options can't be used, training diverges, or the disk refuses.
    """
    given = load_torch_source(wanted.start, wanted.state).classifier(SpecOptions()) if wanted.start else None
    shape = given.spec.shape if given is not None else wanted.shape
    assert shape is not None
    data = _read(wanted.images, shape, given, progress, limit=wanted.limit, seed=wanted.seed)
    test = _read(wanted.test, shape, given, progress) if wanted.test else None
    images = LabelledImages.of(data, None if given is None else len(given.labels))
    plan = wanted.plan(len(images))
    store = StageStore(folder / WORK, {"tools": tool_versions()})
    before = accuracy(given, test) if given is not None and test is not None else None
    facts: dict[str, Any] = {"images": len(images), "image_digest": images.digest, "tools": tool_versions()}
    with progress.stage("Training", plan.steps) as advance:
        if given is not None:
            tuning = FineTuning(given, plan, wanted.seed)
            facts |= tuning.to_json()
            made = fine_tuned(tuning, images, store=store, advance=advance)
        else:
            assert wanted.architecture is not None
            recipe = TrainingRecipe.of(wanted.architecture, images, plan, init_seed=wanted.seed, order_seed=wanted.seed)
            facts |= recipe.to_json()
            made = from_scratch(recipe, images, labels=data.class_names, store=store, advance=advance)
    after = accuracy(made, test) if test is not None else None
    result = Made(made.description, len(images), plan.steps, before, after)
    keep_classifier(made, folder, facts | {"made": asdict(result)})
    store.clear()
    return result


def _read(
    source: str,
    shape: tuple[int, int, int],
    classifier: TorchClassifier | None,
    progress: Progress,
    *,
    limit: int | None = None,
    seed: int = 0,
) -> ImageSet:
    images = read_images(source, shape, limit=limit, seed=seed, progress=progress)
    if images.labels is None:
        raise AnalysisError(f"{source}: these images have no labels, and training needs them")
    if classifier is None:
        return images
    return align_labels(images, names_for(classifier.labels, images, given=False))
