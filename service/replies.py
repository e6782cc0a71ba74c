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
    evidence = (evidence for part in answers.detections for evidence in _evidence(request, part))
    results = (
        pb.ImageResult(error=to_status(answers.unread[index]))
        if index in answers.unread
        else pb.ImageResult(evidence=next(evidence))
        for index in range(len(answers))
    )
    return pb.ScoreResponse(
        results=[
            pb.ImageResult(error=to_status(withheld[index])) if index in withheld else result
            for index, result in enumerate(results)
        ],
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
    probabilities = _probabilities(part.logits, part.predicted)
    for row, (index, label, verdict) in enumerate(
        zip(part.predicted.tolist(), part.labels, part.verdicts, strict=True)
    ):
        yield pb.Evidence(
            prediction=pb.Prediction(class_index=index, label=label, probability=float(probabilities[row])),
            score=float(part.scores[row]),
            p_value=float(part.p_values[row]),
            verdict=VERDICTS[verdict],
            barrier_height=float(part.barrier_heights[row]),
            barrier_gap=float(part.barrier_gaps[row]),
            stratum=int(part.strata[row]),
            logits=part.logits[row].tolist() if request.include_logits else None,
            profile=_curves(part.profile, row) if request.include_profile else None,
        )


def _curves(profile: PathProfile, row: int) -> list[pb.PathCurve]:
    grid = profile.plan.grid
    return [
        pb.PathCurve(path=target.name, alphas=grid, losses=losses.tolist(), margins=margins.tolist())
        for target, losses, margins in zip(profile.plan.targets, profile.losses[row], profile.margins[row], strict=True)
    ]


def _probabilities(logits: Float32Array, predicted: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Float32Array:
    """float32 (N,): the softmax of (N, classes) at the predicted class."""
    shifted = logits - logits[np.arange(len(logits)), predicted][:, None]
    return np.asarray(1 / np.exp(shifted).sum(axis=1), np.float32)
