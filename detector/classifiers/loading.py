"""From what a user points at to a classifier that serves: in ONNX, opened for batches, and looked over."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector.classifiers.base import OutputKind
from detector.classifiers.export import export_onnx, served_spec
from detector.classifiers.gradients import AGREEMENT, disagreement, load_torch_source
from detector.classifiers.labels import read_labels
from detector.classifiers.onnx import OnnxClassifier
from detector.classifiers.onnx_gradients import load_onnx_gradients
from detector.classifiers.options import SpecOptions, infer_spec, pixel_type
from detector.classifiers.outputs import probe_images
from detector.classifiers.session import only_input, open_session
from detector.classifiers.surgery import normalise_graph, read_model
from detector.classifiers.taps import add_taps, choose_taps, find_layers, remove_taps
from detector.errors import ClassifierError, GradientsUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.classifiers.base import Classifier, Float32Array, ImageSpec
    from detector.classifiers.taps import Tap
    from detector.classifiers.torch import TorchClassifier

_LOG = logging.getLogger("isthmus")
_PROBES = 8
_STEADY = 1e-4


@dataclass(frozen=True)
class LoadedClassifier:
    """A classifier ready to be calibrated and served.

    Args:
        classifier: Runs `model`.
        model: The ONNX model that goes into the bundle.
        source_digest: SHA-256, hexadecimal, of the model file as given; of the exported model for a factory.
        notes: What was done to the model and what looks wrong with it, in plain words.
        torch_classifier: The torch module the model was exported from, where it was.
        untapped: `model` before taps were added; None where it has none.
        taps: The tapped layers, in the order of the taps' numbers.
    """

    classifier: OnnxClassifier
    model: bytes = field(repr=False)
    source_digest: str
    notes: tuple[str, ...]
    torch_classifier: TorchClassifier | None = None
    untapped: bytes | None = field(default=None, repr=False)
    taps: tuple[Tap, ...] = ()

    @property
    def remote(self) -> None:
        """Where it runs: here."""

    @property
    def identity(self) -> str:
        """What finished stages of a calibration are kept under: SHA-256, hexadecimal, of `model`."""
        return _digest(self.model)

    def hidden(self, images: Float32Array) -> tuple[Float32Array, ...]:
        """Channel means of the tapped layers, each float32 (N, channels read), for canonical images."""
        ends = np.cumsum([2 * len(tap.read) for tap in self.taps])[:-1]
        parts = np.split(self.classifier.answers(images).taps, ends, axis=1)
        return tuple(part[:, : part.shape[1] // 2] for part in parts)

    def gradients(self) -> TorchClassifier:
        """A torch classifier that answers alike and has gradients.

        Raises:
            GradientsUnavailableError: There is none; says why.
        """
        return self.torch_classifier or _through_onnx2torch(self.classifier, self.untapped or self.model)

    @cached_property
    def default_gradients(self) -> TorchClassifier | None:
        """`gradients`, made once; None, with the reason logged, where there are none."""
        try:
            return self.gradients()
        except GradientsUnavailableError as error:
            _LOG.warning("no gradients: %s", error)
            return None


def load_classifier(
    source: str | Path,
    *,
    spec_options: SpecOptions | None = None,
    labels_file: str | Path | None = None,
    state: str | Path | None = None,
    threads: int | None = None,
) -> LoadedClassifier:
    """Load a classifier and bring it into the form that serves.

    Args:
        source: An ``.onnx`` file, a ``.pt2`` program, or a factory ``module:function``.
        spec_options: What the user states about its images.
        labels_file: As for `read_labels`.
        state: Weights for a factory.
        threads: CPU threads for one run; None leaves the choice to ONNX Runtime.

    Raises:
        ClassifierError: It can't be loaded, exported or run, or contradicts an argument.
    """
    options = spec_options or SpecOptions()
    labels = None if labels_file is None else read_labels(labels_file)
    name = Path(source).name
    if Path(source).suffix.lower() == ".onnx":
        given = read_model(source)
        digest, given = _digest(given), remove_taps(given)  # a bundle's own classifier may be calibrated again
        spec = _graph_spec(given, options)
        return _opened(given, spec, digest=digest, labels=labels, threads=threads, name=name)
    found = load_torch_source(source, state).classifier(options, labels=labels)
    file_digest = _digest(Path(source).read_bytes()) if Path(source).is_file() else None
    return loaded_from_torch(found, name=name, digest=file_digest, labels=labels, threads=threads)


def loaded_from_torch(
    classifier: TorchClassifier,
    *,
    name: str,
    digest: str | None = None,
    labels: Sequence[str] | None = None,
    threads: int | None = None,
) -> LoadedClassifier:
    """Bring a torch classifier into the form that serves.

    Args:
        classifier: With gradients.
        name: What to call it.
        digest: SHA-256, hexadecimal, of the file it came from; None takes that of the exported model.
        labels: One name per class, where they are known.
        threads: As for `load_classifier`.

    Raises:
        ClassifierError: It can't be exported or run.
    """
    given = export_onnx(classifier)
    opened = _opened(
        given,
        served_spec(classifier.spec),
        digest=digest or _digest(given),
        labels=labels,
        threads=threads,
        name=name,
    )
    return replace(opened, torch_classifier=classifier)


def _opened(
    given: bytes,
    spec: ImageSpec,
    *,
    digest: str,
    labels: Sequence[str] | None,
    threads: int | None,
    name: str,
) -> LoadedClassifier:
    model, notes = normalise_graph(given, spec=spec)
    classifier = OnnxClassifier(model, spec=spec, labels=labels, threads=threads, name=name)
    if classifier.output_kind is OutputKind.PROBABILITIES:
        notes = [*notes, "the model puts out probabilities; their logarithms are used as logits"]
    return LoadedClassifier(classifier, model, digest, (*notes, *suspicions(classifier)))


def tapped(loaded: LoadedClassifier, *, threads: int | None = None) -> LoadedClassifier:
    """The same classifier with its hidden layers tapped, where it has layers to tap; a note says which, or why not."""
    plain = loaded.classifier
    spec = plain.spec
    images = spec.encode(probe_images(spec, plain.fixed_batch or _PROBES))
    taps = choose_taps(find_layers(loaded.model, images), spec.height * spec.width)
    if not taps:
        return replace(loaded, notes=(*loaded.notes, "no hidden layer can be tapped: the scorer reads logits alone"))
    model = add_taps(loaded.model, taps)
    classifier = OnnxClassifier(
        model,
        spec=spec,
        labels=plain.labels,
        threads=threads,
        output_kind=plain.output_kind,
        output_name=plain.output_name,
        name=plain.name,
    )
    if disagreement(plain, classifier, probe_images(spec, _PROBES)) > _STEADY:
        return replace(loaded, notes=(*loaded.notes, "tapping its layers changes its answers: left untapped"))
    note = f"{len(taps)} hidden layers are tapped: {', '.join(tap.tensor for tap in taps)}"
    return replace(
        loaded, classifier=classifier, model=model, untapped=loaded.model, taps=taps, notes=(*loaded.notes, note)
    )


def suspicions(classifier: Classifier) -> list[str]:
    """Signs that a classifier breaks an assumption of the detector, in plain words; empty where all is well."""
    images = probe_images(classifier.spec, _PROBES)
    first, second = classifier.logits(images), classifier.logits(images)
    found = []
    if not np.allclose(first, second, rtol=_STEADY, atol=_STEADY):
        found.append("answers differ between two runs on the same images: p-values will not be reproducible")
    if float(np.ptp(first, axis=0).max()) <= _STEADY:
        found.append(
            f"the answer is the same for {_PROBES} different random images: the classifier looks at nothing, or its "
            "value range, mean or std is wrong"
        )
    if classifier.output_kind is OutputKind.LOGITS and first.min() >= 0 and first.max() <= 1:
        found.append(
            "outputs lie in [0, 1] but don't sum to one (a sigmoid per class?); they are used as if they were logits"
        )
    return found


def _through_onnx2torch(classifier: OnnxClassifier, model: bytes) -> TorchClassifier:
    source = load_onnx_gradients(model)
    spec = classifier.spec
    try:
        found = source.classifier(replace(spec, dtype=source.dtype or spec.dtype), labels=classifier.labels)
    except ClassifierError as error:
        raise GradientsUnavailableError(f"onnx2torch's module does not run: {error}") from error
    apart = disagreement(classifier, found, probe_images(spec, _PROBES))
    if apart > AGREEMENT:
        raise GradientsUnavailableError(f"onnx2torch's module answers differently, by {apart:.1%}")
    return found


def _graph_spec(model: bytes, options: SpecOptions) -> ImageSpec:
    graph_input = only_input(open_session(model).runtime)
    return infer_spec(graph_input.shape, pixel_type(graph_input.type), options)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
