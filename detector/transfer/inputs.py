"""What a transfer is about: a bundle, a retrained classifier, and labelled images that neither was made with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from detector.calibration.checks import check_labels
from detector.calibration.inputs import load_inputs
from detector.classifiers.gradients import match_gradients
from detector.classifiers.labels import read_labels
from detector.classifiers.onnx_gradients import load_onnx_gradients
from detector.classifiers.taps import remove_taps
from detector.detector import check_fit
from detector.errors import CalibrationError, ClassifierError, GradientsUnavailableError
from detector.images import to_canonical, to_pixels

if TYPE_CHECKING:
    from pathlib import Path

    from detector.bundle import Bundle
    from detector.calibration.inputs import CalibrationInputs
    from detector.classifiers.base import Classifier, Float32Array
    from detector.classifiers.options import SpecOptions
    from detector.classifiers.remote_loading import LoadedRemote
    from detector.classifiers.torch import TorchClassifier
    from detector.data.source import ImageSet
    from detector.detector import Detector
    from detector.progress import Progress

FEWEST_IMAGES = 50
"""With fewer, no interval says anything: 0 of 50 is anything up to 7 %."""
_PROBES = 32


@dataclass(frozen=True)
class TransferInputs:
    """What a transfer is about.

    Args:
        old: The bundle, brought to life.
        old_gradients: Answers like its classifier and has gradients; None where there are none.
        new: The retrained classifier, its gradients, and the sample: labelled images, numbered as the bundle numbers
            its classes.
    """

    old: Detector
    old_gradients: TorchClassifier | None
    new: CalibrationInputs

    @property
    def bundle(self) -> Bundle:
        """What is carried over."""
        return self.old.bundle

    @property
    def classifier(self) -> Classifier:
        """The retrained classifier as it serves."""
        return self.new.loaded.classifier

    @property
    def sample(self) -> ImageSet:
        """The labelled images."""
        return self.new.images

    def canonical(self) -> Float32Array:
        """The sample, float32 (N, channels, height, width)."""
        return to_canonical(self.sample.pixels, self.bundle.manifest.spec.shape)


def load_transfer_inputs(
    old: Detector,
    classifier: str | Path | LoadedRemote,
    images: str | Path,
    *,
    spec: SpecOptions,
    progress: Progress,
    gradients: str | Path | None = None,
    old_gradients: str | Path | None = None,
    state: Path | None = None,
    labels: Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> TransferInputs:
    """Load all that a transfer needs, and refuse what does not go together.

    Args:
        old: The bundle, brought to life.
        classifier: The retrained one, as for `load_inputs`; one that runs elsewhere was opened with `spec_as_before`.
        images: Labelled; neither classifier was trained on them, nor the bundle calibrated with them.
        spec: What the user says of its input; what he leaves open is as for the old classifier.
        progress: Watches.
        gradients: Of the retrained classifier; None asks it itself.
        old_gradients: Of the bundle's classifier; None asks its graph.
        state: Weights for a factory.
        labels: The retrained classifier's class names in output order.
        limit: Most images.
        seed: Of the choice of images.
        threads: CPU threads of the classifier.

    Raises:
        ClassifierError: A classifier or its gradients can't be used.
        ClassifierMismatchError: The retrained classifier takes other images, or knows another number of classes.
        CalibrationError: Its classes stand in another order, images have no labels, are too few, or calibrated the
            bundle.
        DataError: The images or their labels can't be used.
    """
    manifest = old.bundle.manifest
    if labels is not None:
        _check_order(read_labels(labels), manifest.labels)
    new = load_inputs(
        classifier,
        images,
        spec=spec_as_before(spec, old.bundle),
        gradients=gradients,
        state=state,
        labels=labels,
        names=manifest.labels,
        limit=limit,
        seed=seed,
        threads=threads,
        taps=bool(manifest.plan.tapped),
        progress=progress,
    )
    check_fit(old.bundle, new.loaded.classifier)
    _check_sample(new, old.bundle, progress)
    return TransferInputs(old, _old_gradients(old, old_gradients, new, progress), new)


def spec_as_before(spec: SpecOptions, bundle: Bundle) -> SpecOptions:
    """A retrained classifier wants its images as the old one did, unless the user says otherwise."""
    return replace(spec, before=bundle.manifest.spec)


def _check_order(given: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    if given == wanted:
        return
    if len(given) != len(wanted):
        raise CalibrationError(f"--labels: {len(given)} classes; the bundle knows {len(wanted)}: calibrate anew")
    place = next(i for i, pair in enumerate(zip(given, wanted, strict=True)) if pair[0] != pair[1])
    raise CalibrationError(
        f"--labels: class {place} is '{given[place]}', and '{wanted[place]}' in the bundle: prototypes and scores are "
        "kept by the place of their class, so a classifier with other classes, or in another order, is calibrated anew"
    )


def _check_sample(new: CalibrationInputs, bundle: Bundle, progress: Progress) -> None:
    sample = new.images
    if sample.labels is None:
        raise CalibrationError("--images: they have no labels; a transfer compares accuracies, so give labelled images")
    if len(sample) < FEWEST_IMAGES:
        raise CalibrationError(f"--images: {len(sample)} images; at least {FEWEST_IMAGES} are needed to measure rates")
    if not set(sample.labels.tolist()) <= set(range(len(bundle.manifest.labels))):
        raise CalibrationError(f"--images: labels must lie in 0..{len(bundle.manifest.labels) - 1}")
    _check_unseen(sample, bundle)
    shape = bundle.manifest.spec.shape
    predicted = new.loaded.classifier.logits(to_canonical(sample.pixels, shape)).argmax(axis=1)
    try:
        warnings = check_labels(predicted, sample.labels, bundle.manifest.labels)
    except CalibrationError as error:
        raise CalibrationError(f"the new classifier on --images: {error}") from error
    for warning in warnings:
        progress.note(f"warning: {warning}")


def _check_unseen(sample: ImageSet, bundle: Bundle) -> None:
    """Refuse images that the bundle knows: the set it was calibrated with, or one of its canaries."""
    images = bundle.manifest.provenance.get("images")
    if isinstance(images, dict) and images.get("sha256") == sample.digest:
        raise CalibrationError(
            "--images: the very images that the bundle was calibrated with; rates on them would be too good. Give "
            "images that it has not seen"
        )
    known = {one.tobytes() for one in to_pixels(bundle.canaries.images)}
    for name, pixels in zip(sample.names, sample.pixels, strict=True):
        if pixels.tobytes() in known:
            raise CalibrationError(
                f"--images: {name} is one of the bundle's canaries, so the bundle was calibrated with images of this "
                "set; give images that it has not seen"
            )


def _old_gradients(
    old: Detector, source: str | Path | None, new: CalibrationInputs, progress: Progress
) -> TorchClassifier | None:
    probe = to_canonical(new.images.pixels[:_PROBES], old.bundle.manifest.spec.shape)
    if source is not None:
        found = match_gradients(old.classifier, source, probe)
    elif old.bundle.parts.classifier is None:
        progress.note("old gradients: none; the bundle's classifier runs elsewhere, pass --from-gradients")
        return None
    else:
        try:
            found = match_gradients(old.classifier, load_onnx_gradients(remove_taps(old.bundle.graph)), probe)
        except (GradientsUnavailableError, ClassifierError) as error:
            progress.note(f"old gradients: none: {error}")
            return None
    progress.note(f"old gradients: {found.description}")
    return found
