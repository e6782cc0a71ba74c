"""What other processes need to open the models of a calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detector.errors import ClassifierError
from detector.shards.recipe import ModelRecipe, devices
from detector.versions import tool_versions

if TYPE_CHECKING:
    from detector.calibration.inputs import CalibrationInputs
    from detector.classifiers.base import UInt8Array


def model_recipe(inputs: CalibrationInputs, *, threads: int) -> ModelRecipe:
    """The recipe of what is calibrated.

    Args:
        inputs: A classifier of its own graph; a remote one is asked from where the run was started.
        threads: CPU threads of each worker.

    Raises:
        ClassifierError: The classifier runs elsewhere.
    """
    loaded, gradients = inputs.loaded, inputs.gradients
    if loaded.model is None:
        raise ClassifierError("a classifier that runs elsewhere is not spread over Ray: its own server is the limit")
    classifier = loaded.classifier
    own = gradients is not None and inputs.origin is not None and inputs.origin.source is None
    return ModelRecipe(
        graph=_bytes(loaded.model),
        spec=classifier.spec,
        labels=classifier.labels,
        output_kind=classifier.output_kind,
        output_name=classifier.output_name,
        name=classifier.name,
        gradients=inputs.origin if gradients is not None else None,
        gradient_graph=_bytes((loaded.untapped or loaded.model) if own else b""),
        gradient_spec=gradients.spec if gradients is not None else classifier.spec,
        gradient_kind=gradients.output_kind if gradients is not None else classifier.output_kind,
        devices=devices(classifier, gradients),
        threads=threads,
        tools=tool_versions(),
    )


def _bytes(content: bytes) -> UInt8Array:
    return np.frombuffer(content, np.uint8)
