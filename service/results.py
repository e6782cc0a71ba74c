"""What a client gets: replies as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from detector.errors import ServiceFailedError
from service.replies import VERDICTS
from service.status import from_status

if TYPE_CHECKING:
    from detector.errors import IsthmusError
    from detector.verdicts import Verdict
    from isthmus.v1 import detector_pb2 as pb

_VERDICTS: Final[dict[int, Verdict]] = {number: verdict for verdict, number in VERDICTS.items()}


@dataclass(frozen=True)
class PathCurve:
    """Losses and margins of the predicted class along one path.

    Args:
        path: What the path leads to, such as ``prototype[0]``.
        alphas: Positions on the path, 0 (the image) upward.
        losses: Cross-entropy of the predicted class at each alpha, nats.
        margins: Logit of the predicted class minus the largest other logit, at each alpha.
    """

    path: str
    alphas: tuple[float, ...]
    losses: tuple[float, ...]
    margins: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ScoredImage:
    """The answer to one image; where `error` is set, the image was bad and nothing else is known of it.

    Args:
        label: Name of the predicted class.
        class_index: The predicted class; -1 with an error.
        probability: Softmax at the predicted class, 0..1.
        score: Higher means more adversarial, nats.
        p_value: The chance that a benign image of this predicted class and stratum scores at least this high, 0..1.
        verdict: From the p-value; None with an error.
        barrier_height: Largest path loss over the paths to prototypes of the predicted class, nats; NaN where
            the bundle walks no such path.
        barrier_gap: Barrier height minus the larger loss at that path's ends, nats; NaN likewise.
        stratum: Of difficulty, in which the p-value was taken, 0 the easiest or the only one; -1 with an error.
        logits: The classifier's, where asked for.
        profile: One curve per path, where asked for.
        error: Why the image has no score; only where reports per image were asked for.
    """

    label: str = ""
    class_index: int = -1
    probability: float = math.nan
    score: float = math.nan
    p_value: float = math.nan
    verdict: Verdict | None = None
    barrier_height: float = math.nan
    barrier_gap: float = math.nan
    stratum: int = -1
    logits: tuple[float, ...] = ()
    profile: tuple[PathCurve, ...] = ()
    error: IsthmusError | None = None

    @classmethod
    def of(cls, result: pb.ImageResult) -> ScoredImage:
        """Read one result of a reply."""
        if result.WhichOneof("outcome") == "error":
            return cls(error=from_status(result.error))
        evidence = result.evidence
        return cls(
            label=evidence.prediction.label,
            class_index=evidence.prediction.class_index,
            probability=evidence.prediction.probability,
            score=evidence.score,
            p_value=evidence.p_value,
            verdict=_verdict(evidence.verdict),
            barrier_height=evidence.barrier_height,
            barrier_gap=evidence.barrier_gap,
            stratum=evidence.stratum,
            logits=tuple(evidence.logits),
            profile=tuple(
                PathCurve(curve.path, tuple(curve.alphas), tuple(curve.losses), tuple(curve.margins))
                for curve in evidence.profile
            ),
        )


def _verdict(number: int) -> Verdict:
    if number not in _VERDICTS:
        raise ServiceFailedError(f"the server gave verdict {number}, which this client does not know; upgrade it")
    return _VERDICTS[number]


@dataclass(frozen=True, kw_only=True)
class DetectorDescription:
    """What a server has loaded, how it was calibrated and what it accepts.

    Args:
        bundle_digest: SHA-256 of the bundle.
        version: Of Isthmus, on the server.
        labels: One name per class.
        height: Rows of the classifier's images; raw arrays must have as many.
        width: Columns, likewise.
        channels: 3 (RGB) or 1 (grey), likewise.
        suspect_rate: p-values at or below this are at least SUSPECT.
        adversarial_rate: p-values at or below this are ADVERSARIAL.
        calibration_images: Held-out benign images behind the p-values.
        images_per_stratum: Of them, by stratum of difficulty, the easiest first; one number where there is but one.
        scorer: Such as "one-class".
        accuracy: Of the classifier on the images calibrated on, 0..1; None where they carried no labels.
        forwards_per_image: Classifier forwards spent per image.
        paths: Names of the paths scored.
        max_images: Images one request may hold; a client splits what is more.
        max_image_bytes: Bytes one encoded image may have.
        max_image_pixels: Pixels one encoded image may have.
        max_message_bytes: Bytes one request may have.
    """

    bundle_digest: str
    version: str
    labels: tuple[str, ...]
    height: int
    width: int
    channels: int
    suspect_rate: float
    adversarial_rate: float
    calibration_images: int
    images_per_stratum: tuple[int, ...]
    scorer: str
    accuracy: float | None
    forwards_per_image: int
    paths: tuple[str, ...]
    max_images: int
    max_image_bytes: int
    max_image_pixels: int
    max_message_bytes: int

    @classmethod
    def of(cls, reply: pb.GetDetectorResponse) -> DetectorDescription:
        """Read a reply."""
        return cls(
            bundle_digest=reply.bundle_digest,
            version=reply.version,
            labels=tuple(reply.labels),
            height=reply.image_format.height,
            width=reply.image_format.width,
            channels=reply.image_format.channels,
            suspect_rate=reply.calibration.suspect_rate,
            adversarial_rate=reply.calibration.adversarial_rate,
            calibration_images=reply.calibration.images,
            images_per_stratum=tuple(reply.calibration.images_per_stratum),
            scorer=reply.calibration.scorer,
            accuracy=reply.calibration.accuracy if reply.calibration.HasField("accuracy") else None,
            forwards_per_image=reply.forwards_per_image,
            paths=tuple(reply.paths),
            max_images=reply.limits.max_images,
            max_image_bytes=reply.limits.max_image_bytes,
            max_image_pixels=reply.limits.max_image_pixels,
            max_message_bytes=reply.limits.max_message_bytes,
        )
