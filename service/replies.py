"""Detections to replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detector.verdicts import Verdict
from isthmus.v1 import detector_pb2 as pb
from service.status import to_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from detector import Detection
    from detector.classifiers.base import Float32Array
    from detector.errors import IsthmusError
    from detector.profiles import PathProfile
    from service.answers import Answers
    from service.convert import RequestLimits
    from service.ports import LoadedBundle

VERDICTS: Final = {
    Verdict.BENIGN: pb.VERDICT_BENIGN,
    Verdict.SUSPECT: pb.VERDICT_SUSPECT,
    Verdict.ADVERSARIAL: pb.VERDICT_ADVERSARIAL,
}


def score_response(
    request: pb.ScoreRequest, bundle: LoadedBundle, answers: Answers, withheld: Mapping[int, IsthmusError]
) -> pb.ScoreResponse:
    """The reply to a request.

    Args:
        request: Says what to include.
        bundle: Of the detector that answered.
        answers: To its images.
        withheld: What is said instead of some of them, by index in the request.
    """
    results = [pb.ImageResult(evidence=found) for part in answers.detections for found in _evidence(request, part)]
    for index in sorted(answers.unread):
        results.insert(index, pb.ImageResult(error=to_status(answers.unread[index])))
    for index, error in withheld.items():
        results[index] = pb.ImageResult(error=to_status(error))
    return pb.ScoreResponse(
        results=results,
        bundle_digest=bundle.digest,
        forwards_per_image=bundle.manifest.plan.forwards_per_image,
    )


def detector_response(bundle: LoadedBundle, limits: RequestLimits, *, version: str) -> pb.GetDetectorResponse:
    """The description of the detector that is loaded."""
    manifest = bundle.manifest
    return pb.GetDetectorResponse(
        bundle_digest=bundle.digest,
        version=version,
        labels=manifest.labels,
        image_format=pb.ImageFormat(
            height=manifest.spec.height, width=manifest.spec.width, channels=manifest.spec.channels
        ),
        calibration=pb.Calibration(
            suspect_rate=manifest.rates.suspect,
            adversarial_rate=manifest.rates.adversarial,
            images=manifest.calibration.images,
            scorer=manifest.calibration.scorer,
            accuracy=manifest.calibration.accuracy,
            images_per_stratum=manifest.calibration.images_per_stratum,
        ),
        limits=pb.Limits(
            max_images=limits.max_images,
            max_image_bytes=limits.decode.max_bytes,
            max_image_pixels=limits.decode.max_pixels,
            max_message_bytes=limits.max_message_bytes,
        ),
        forwards_per_image=manifest.plan.forwards_per_image,
        paths=[target.name for target in manifest.plan.targets],
    )


def _evidence(request: pb.ScoreRequest, part: Detection) -> Iterator[pb.Evidence]:
    predictions = zip(part.predicted.tolist(), part.labels, _probabilities(part.logits), strict=True)
    numbers = (part.scores, part.p_values, part.barrier_heights, part.barrier_gaps, part.strata)
    rows = zip(predictions, part.verdicts, *(column.tolist() for column in numbers), strict=True)
    for row, ((index, label, probability), verdict, score, p_value, height, gap, stratum) in enumerate(rows):
        yield pb.Evidence(
            prediction=pb.Prediction(class_index=index, label=label, probability=probability),
            score=score,
            p_value=p_value,
            verdict=VERDICTS[verdict],
            barrier_height=height,
            barrier_gap=gap,
            stratum=stratum,
            logits=part.logits[row].tolist() if request.include_logits else None,
            profile=_curves(part.profile, row) if request.include_profile else None,
        )


def _curves(profile: PathProfile, row: int) -> list[pb.PathCurve]:
    grid = profile.plan.grid
    return [
        pb.PathCurve(path=target.name, alphas=grid, losses=losses.tolist(), margins=margins.tolist())
        for target, losses, margins in zip(profile.plan.targets, profile.losses[row], profile.margins[row], strict=True)
    ]


def _probabilities(logits: Float32Array) -> list[float]:
    """The softmax of (N, classes) at the predicted class, which has the largest logit."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    probabilities: list[float] = (1 / np.exp(shifted).sum(axis=1)).tolist()
    return probabilities
