"""Loading what is calibrated: classifier, gradients and images, and making them agree."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detector.calibration.anchors import ListedImages
from detector.classifiers.gradients import match_gradients
from detector.classifiers.loading import load_classifier, tapped
from detector.classifiers.remote_loading import LoadedRemote
from detector.data.alignment import align_labels
from detector.data.reading import names_for, read_images
from detector.images import to_canonical
from detector.shards.recipe import GradientOrigin
from detector.versions import tool_versions

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.loading import LoadedClassifier
    from detector.classifiers.options import SpecOptions
    from detector.classifiers.torch import TorchClassifier
    from detector.data.source import ImageSet
    from detector.progress import Progress

    Loaded = LoadedClassifier | LoadedRemote

_PROBES = 32
_IDENTIFYING = 4  # images whose gradients' answers tell one gradient source from another


@dataclass(frozen=True)
class CalibrationInputs:
    """What is calibrated.

    Args:
        loaded: The classifier.
        gradients: Answers like it and has gradients; None where there are none.
        images: Held-out images, labels (if any) aligned with the classifier's classes.
        labels: One name per class.
        origin: Where `gradients` were loaded from, for processes that open them again; None where there are none.
        listed: Images that must be no anchors; None keeps none out.
    """

    loaded: Loaded
    gradients: TorchClassifier | None
    images: ImageSet
    labels: tuple[str, ...]
    origin: GradientOrigin | None = None
    listed: ListedImages | None = None

    def identity(self) -> dict[str, Any]:
        """What tells these inputs from others, JSON values: whatever is measured on them depends on it."""
        spec, gradients = self.loaded.classifier.spec, self.gradients
        probe = to_canonical(self.images.pixels[:_IDENTIFYING], spec.shape)
        answers = gradients.logits(probe).tobytes() if gradients else b""
        return {
            "classifier": self.loaded.identity,
            "gradients": hashlib.sha256(answers).hexdigest() if gradients else None,
            "images": self.images.digest,
            "image_spec": spec.to_json(),
            "tools": tool_versions(),
            **({} if self.listed is None else {"listed": self.listed.sha256}),
        }


def load_inputs(
    classifier: str | Path | LoadedRemote,
    images: str | Path,
    *,
    spec: SpecOptions,
    progress: Progress,
    gradients: str | Path | None = None,
    state: Path | None = None,
    labels: Path | None = None,
    names: tuple[str, ...] | None = None,
    limit: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    taps: bool = True,
    listed: Path | None = None,
) -> CalibrationInputs:
    """Load all that a calibration needs.

    Args:
        classifier: As for `load_classifier`; or one that runs elsewhere, to which `spec`, `state`, `threads` and `taps`
            do not apply any more.
        images: As for `open_images`.
        spec: What the user says of the classifier's input.
        progress: Watches.
        gradients: As for `match_gradients`; None asks the classifier itself.
        state: Weights for a factory.
        labels: Class names in output order; of a remote classifier, whether it was given them.
        names: Class names in output order that are known already; None takes the classifier's or the data's.
        limit: Most images.
        seed: Of the choice of images.
        threads: CPU threads of the classifier.
        taps: Whether to tap hidden layers of the classifier.
        listed: As for `ListedImages.read`: images that must be no anchors.

    Raises:
        ClassifierError: The classifier or the gradients can't be used.
        DataError: The images or their labels can't be used.
        CalibrationError: The list of images can't be used.
    """
    known = None if listed is None else ListedImages.read(listed)
    loaded: Loaded
    if isinstance(classifier, LoadedRemote):
        loaded = classifier
    else:
        loaded = load_classifier(classifier, spec_options=spec, labels_file=labels, state=state, threads=threads)
        loaded = tapped(loaded, threads=threads) if taps else loaded
    progress.note(f"classifier: {loaded.classifier.description}")
    for note in loaded.notes:
        progress.note(f"classifier: {note}")
    data = read_images(images, loaded.classifier.spec.shape, limit=limit, seed=seed, progress=progress)
    names = names or names_for(loaded.classifier.labels, data, given=labels is not None)
    if data.labels is not None:
        data = align_labels(data, names)
    if known is not None:
        progress.note(f"anchors: {known.among(data).sum()} images are kept out, as listed in {known.source}")
    found = _gradients(loaded, gradients, data, progress)
    if gradients is not None:
        origin = GradientOrigin.of(gradients)
    elif isinstance(loaded, LoadedRemote) or loaded.torch_classifier is None:
        origin = GradientOrigin.of(None)
    else:
        origin = GradientOrigin.of(str(classifier), state)
    return CalibrationInputs(loaded, found, data, names, origin if found else None, known)


def _gradients(loaded: Loaded, source: str | Path | None, data: ImageSet, progress: Progress) -> TorchClassifier | None:
    if source is None:
        found = loaded.default_gradients
    else:
        probe = to_canonical(data.pixels[:_PROBES], loaded.classifier.spec.shape)
        found = match_gradients(loaded.classifier, source, probe)
    progress.note(f"gradients: {found.description}" if found else "gradients: none to be had")
    return found
