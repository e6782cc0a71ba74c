"""Answers as the commands print them, whether they come from a bundle here or from a server."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import FieldError

if TYPE_CHECKING:
    from detector.cli.inputs import Given
    from detector.data.source import SkippedImage
    from detector.detector import Detection
    from detector.verdicts import Verdict
    from service.results import ScoredImage


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is known of one image.

    Args:
        image: Its name.
        label: What the data set says it shows, where it says so.
        prediction: Name of the predicted class; empty with an error.
        probability: Softmax at the predicted class, 0..1.
        score: Higher means more adversarial, nats.
        p_value: The chance that a benign image of this predicted class scores at least this high.
        verdict: From the p-value; None with an error.
        barrier_height: Nats; NaN where the bundle walks no path to a prototype.
        barrier_gap: Nats; NaN likewise.
        stratum: Of difficulty, in which the p-value was taken, 0 the easiest or the only one; None with an error.
        error: Why the image has no score.
    """

    image: str
    label: str | None = None
    prediction: str = ""
    probability: float = math.nan
    score: float = math.nan
    p_value: float = math.nan
    verdict: Verdict | None = None
    barrier_height: float = math.nan
    barrier_gap: float = math.nan
    stratum: int | None = None
    error: str | None = None


def refusal(image: SkippedImage) -> Answer:
    """The answer to an image that could not be read."""
    return Answer(image=image.name, error=image.reason)


def of_detection(images: list[Given], detection: Detection) -> list[Answer]:
    """The answers a detector gave to `images`, in their order."""
    probabilities = np.exp(-detection.profile.losses[:, 0, 0])  # the loss of the predicted class is -log of it
    return [
        Answer(
            image=image.name,
            label=image.label,
            prediction=detection.labels[row],
            probability=float(probabilities[row]),
            score=float(detection.scores[row]),
            p_value=float(detection.p_values[row]),
            verdict=detection.verdicts[row],
            barrier_height=float(detection.barrier_heights[row]),
            barrier_gap=float(detection.barrier_gaps[row]),
            stratum=int(detection.strata[row]),
        )
        for row, image in enumerate(images)
    ]


def of_server(image: Given, scored: ScoredImage) -> Answer:
    """The answer a server gave to `image`."""
    if scored.error is not None:
        # The field names the image's place in its request, which nobody knows here.
        reason = scored.error.message if isinstance(scored.error, FieldError) else str(scored.error)
        return Answer(image=image.name, label=image.label, error=reason)
    return Answer(
        image=image.name,
        label=image.label,
        prediction=scored.label,
        probability=scored.probability,
        score=scored.score,
        p_value=scored.p_value,
        verdict=scored.verdict,
        barrier_height=scored.barrier_height,
        barrier_gap=scored.barrier_gap,
        stratum=scored.stratum,
    )
