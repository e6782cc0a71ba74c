"""From an endpoint to a classifier that can be calibrated: what it declares, what the user says, what it answers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from detector.classifiers.base import OutputKind
from detector.classifiers.labels import read_labels
from detector.classifiers.loading import suspicions
from detector.classifiers.options import SpecOptions, infer_spec
from detector.classifiers.outputs import probe_images
from detector.classifiers.remote import RemoteClassifier

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.address import RemoteModel
    from detector.classifiers.base import Float32Array, ImageSpec
    from detector.classifiers.remote_calls import CallPolicy, DeclaredModel

_MESSAGE_BYTES = 3 << 20  # below the 4 MiB that gRPC servers take unless they were told otherwise
_LEVELS = 100  # of the answers' spread: what rounds differently in two runs is still the same classifier


@dataclass(frozen=True)
class LoadedRemote:
    """A remote classifier ready to be calibrated; has what `LoadedClassifier` has, as far as there is any.

    Args:
        classifier: Asks the endpoint.
        remote: What the bundle keeps of it.
        notes: What looks wrong with it, in plain words.
    """

    classifier: RemoteClassifier
    remote: RemoteModel
    notes: tuple[str, ...]
    model: None = None
    default_gradients: None = None
    taps: tuple[()] = ()

    @cached_property
    def source_digest(self) -> str:
        """SHA-256, hexadecimal, of where it runs and of its answers to a few random images, rounded."""
        answers = self.classifier.logits(probe_images(self.classifier.spec))
        levels = np.rint(answers / max(float(answers.std()), 1e-6) * _LEVELS).astype(np.int64)
        where = json.dumps(self.remote.to_json(), sort_keys=True).encode()
        return hashlib.sha256(where + levels.tobytes()).hexdigest()

    @property
    def identity(self) -> str:
        """What finished stages of a calibration are kept under."""
        return self.source_digest

    def hidden(self, images: Float32Array) -> tuple[Float32Array, ...]:
        """Nothing: what runs elsewhere shows no hidden layers."""
        del images
        return ()


def load_remote(
    declared: DeclaredModel,
    *,
    spec_options: SpecOptions | None = None,
    labels_file: str | Path | None = None,
    policy: CallPolicy | None = None,
) -> LoadedRemote:
    """Make a declared model a classifier, and look it over.

    Args:
        declared: Where it is and what it says of itself.
        spec_options: What the user states about its images.
        labels_file: As for `read_labels`.
        policy: How it is asked.

    Raises:
        ClassifierError: It contradicts an argument, leaves open what is not stated, or fails.
        UpstreamUnavailableError: It can't be asked.
    """
    spec = infer_spec(declared.shape, declared.dtype, spec_options or SpecOptions())
    labels = None if labels_file is None else read_labels(labels_file)
    model = (
        replace(declared.model, batch=_fitting(declared.model.batch, spec)) if declared.any_batch else declared.model
    )
    classifier = RemoteClassifier(declared.endpoint, model, spec, labels=labels, policy=policy)
    notes = [f"runs at {model.url}; {model.output!r} is asked for, of up to {model.batch} images at once"]
    if classifier.output_kind is OutputKind.PROBABILITIES:
        notes.append("the model puts out probabilities; their logarithms are used as logits")
    return LoadedRemote(classifier, model, (*notes, *suspicions(classifier)))


def _fitting(most: int, spec: ImageSpec) -> int:
    """How many images go into a message that any server takes; one, where not even one does."""
    size = spec.encode(probe_images(spec, 1)).nbytes
    return max(1, min(most, _MESSAGE_BYTES // size))
