"""Whole classifiers, trained or trained further, and written as everything else in the project takes them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import torch

from detector.classifiers.base import OutputKind, PixelType
from detector.classifiers.export import write_classifier
from detector.classifiers.torch import TorchClassifier, class_tensor, encode_tensor
from detector.errors import AnalysisError
from detector.folders import write_files
from detector.images import to_canonical
from detector.training.runs import checkpoints, stops
from detector.training.trainer import Training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from detector.data.source import ImageSet
    from detector.progress import Advance
    from detector.shards.stages import StageStore
    from detector.training.data import LabelledImages
    from detector.training.plan import TrainingPlan
    from detector.training.recipe import TrainingRecipe

NAME: Final = "classifier"
MODEL: Final = f"{NAME}.onnx"
PROGRAM: Final = f"{NAME}.pt2"
LABELS: Final = "labels.txt"
FACTS: Final = "training.json"
_STOPS = 10  # times that a training is put aside, at most


@dataclass(frozen=True, eq=False)
class FineTuning:
    """Training a classifier further, from the weights it has.

    What it keeps of batches, such as the statistics of batch norms, stays as it is where it is a program made by
    torch.export: such a program runs as it would when it serves.

    Args:
        classifier: Its module is trained in place.
        plan: How.
        seed: Of the order of images and their augmentation.
    """

    classifier: TorchClassifier
    plan: TrainingPlan
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """All that the result follows from, but for the images: JSON values."""
        return {"from": self.weights_digest(), "plan": asdict(self.plan), "seed": self.seed}

    def weights_digest(self) -> str:
        """SHA-256 (hex) of the parameters and buffers."""
        digest = hashlib.sha256()
        for name, value in self.classifier.module.state_dict().items():
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def fine_tuned(
    tuning: FineTuning,
    images: LabelledImages,
    *,
    store: StageStore | None = None,
    advance: Advance | None = None,
) -> TorchClassifier:
    """Train a classifier further.

    Args:
        tuning: Which, and how.
        images: What on; of the classifier's size, labels in its order.
        store: Where states are kept, so that it goes on after an interruption.
        advance: Told of steps.

    Returns:
        The classifier, trained; its module is the one given.

    Raises:
        AnalysisError: It puts out probabilities, takes other images or has other classes, or training diverges.
    """
    given = tuning.classifier
    _check(given, images)
    module, depends = given.module, {**tuning.to_json(), "images": images.digest, "device": given.device.type}

    def encode(batch: Tensor) -> Tensor:
        return encode_tensor(given.spec, batch)

    for parameter in module.parameters():
        parameter.requires_grad = parameter.is_floating_point()
    generator = torch.Generator().manual_seed(tuning.seed)
    training = Training(module, *images.tensors(), tuning.plan, generator, objective=_cross_entropy, encode=encode)
    for _ in stops(training, _stopping_places(tuning.plan.steps), store=store, depends=depends, advance=advance):
        pass
    return TorchClassifier(module, given.spec, labels=given.labels, output_kind=given.output_kind, name="fine-tuned")


def from_scratch(
    recipe: TrainingRecipe,
    images: LabelledImages,
    *,
    labels: Sequence[str] | None = None,
    store: StageStore | None = None,
    advance: Advance | None = None,
) -> TorchClassifier:
    """Train a network from its random start; its classes are called `labels`, the rest is as for `checkpoints`."""
    *_, end = checkpoints(recipe, images, _stopping_places(recipe.plan.steps), store=store, advance=advance)
    return recipe.classifier(end.module, labels)


def accuracy(classifier: TorchClassifier, images: ImageSet) -> float:
    """Share of images whose class a classifier names, 0..1.

    Raises:
        AnalysisError: The images have no labels.
    """
    if images.labels is None:
        raise AnalysisError("images: these have no labels, and accuracy needs them")
    found = classifier.logits(to_canonical(images.pixels, classifier.spec.shape)).argmax(axis=1)
    return float((found == images.labels).mean())


def keep_classifier(classifier: TorchClassifier, folder: Path, facts: dict[str, Any]) -> None:
    """Write a classifier: as ONNX, as a program, its class names, and how it was made.

    Raises:
        ClassifierError: It can't be exported, or the disk refuses.
        AnalysisError: The disk refuses.
    """
    write_classifier(classifier, folder, NAME)
    try:
        labels = "".join(f"{label}\n" for label in classifier.labels)
        write_files(folder, {LABELS: labels.encode(), FACTS: f"{json.dumps(facts, indent=1)}\n".encode()})
    except OSError as error:
        raise AnalysisError(f"{folder}: the classifier can't be written: {error.strerror}") from error


def _check(classifier: TorchClassifier, images: LabelledImages) -> None:
    if classifier.output_kind is not OutputKind.LOGITS:
        raise AnalysisError("classifier: it puts out probabilities; training needs logits")
    if classifier.spec.shape != images.shape:
        raise AnalysisError(f"images: of shape {images.shape}, and the classifier takes {classifier.spec.shape}")
    if classifier.spec.dtype is PixelType.UINT8:
        raise AnalysisError("classifier: it takes whole uint8 levels, through which nothing is learnt")
    if len(classifier.labels) != images.classes:
        raise AnalysisError(f"images: of {images.classes} classes, and the classifier knows {len(classifier.labels)}")


def _stopping_places(steps: int) -> list[int]:
    """Where a training is put aside: evenly, the last step among them."""
    return sorted({max(1, round(steps * (place + 1) / _STOPS)) for place in range(_STOPS)})


def _cross_entropy(output: Tensor, targets: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(class_tensor(output), targets)
