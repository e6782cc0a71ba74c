"""What was analysed, in a few words: what every report and every file of figures says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detector.calibration.inputs import CalibrationInputs
    from detector.training.data import LabelledImages


def image_facts(images: LabelledImages, source: str) -> dict[str, Any]:
    """Of images that networks are trained on, JSON values.

    Args:
        images: Those that are used.
        source: What to call where they are from.
    """
    return {
        "images": f"{len(images)} of {source}",
        "shape": list(images.shape),
        "classes": images.classes,
        "image digest": images.digest,
    }


def classifier_facts(inputs: CalibrationInputs) -> dict[str, Any]:
    """Of a given classifier and its images, JSON values."""
    return {
        "classifier": inputs.loaded.classifier.description,
        "classifier digest": inputs.loaded.source_digest,
        "gradients": inputs.gradients.description if inputs.gradients is not None else None,
        "image digest": inputs.images.digest,
        "images": len(inputs.images.pixels),
    }
