"""Flagged images: what is told of each, to the audit log and to the operator, and the newest of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from detector.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detector import Detection
    from service.answers import Answers

_MOST_KEPT: Final = 50


@dataclass(frozen=True, kw_only=True)
class FlaggedImage:
    """What is told of a flagged image, but for what its bytes say.

    Args:
        time: When it was answered, ISO 8601, UTC.
        request_id: As in the log and the call's trailing metadata.
        caller: The token's name, or else the connection.
        image: Index in the request.
        verdict: SUSPECT or ADVERSARIAL.
        label: Name of the predicted class.
        class_index: The predicted class.
        score: Higher means more adversarial, nats.
        p_value: 0..1.
        barrier_height: Nats; None where the bundle walks no path to a prototype.
        barrier_gap: Nats; likewise.
        stratum: Of difficulty, in which the p-value was taken, 0 the easiest or the only one.
        withheld: Whether the caller got no prediction.
        bundle_digest: Of the detector that answered.
    """

    time: str
    request_id: str
    caller: str
    image: int
    verdict: Verdict
    label: str
    class_index: int
    score: float
    p_value: float
    barrier_height: float | None
    barrier_gap: float | None
    stratum: int
    withheld: bool
    bundle_digest: str


def flagged_images(
    answers: Answers, *, request_id: str, caller: str, withheld: frozenset[Verdict], bundle_digest: str
) -> tuple[FlaggedImage, ...]:
    """The flagged images of a request.

    Args:
        answers: To its images.
        request_id: Of the call.
        caller: Who asked.
        withheld: Verdicts whose predictions the caller did not get.
        bundle_digest: Of the detector that answered.
    """
    flagged = [found for found in answers.rows() if found[1].verdicts[found[2]] is not Verdict.BENIGN]
    if not flagged:  # as of most requests: they need no clock
        return ()
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return tuple(
        FlaggedImage(
            time=now,
            request_id=request_id,
            caller=caller,
            image=index,
            withheld=part.verdicts[row] in withheld,
            bundle_digest=bundle_digest,
            **_evidence(part, row),
        )
        for index, part, row in flagged
    )


class RecentFlagged:
    """The newest flagged images. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: deque[FlaggedImage] = deque(maxlen=_MOST_KEPT)

    def add(self, images: Iterable[FlaggedImage]) -> None:
        """These are newer than all before."""
        self._kept.extend(images)

    def newest_first(self) -> list[FlaggedImage]:
        """Those that are kept."""
        return list(self._kept.copy())[::-1]


def _evidence(part: Detection, row: int) -> dict[str, Any]:
    return {
        "verdict": part.verdicts[row],
        "label": part.labels[row],
        "class_index": int(part.predicted[row]),
        "score": float(part.scores[row]),
        "p_value": float(part.p_values[row]),
        "barrier_height": _number(part.barrier_heights[row]),
        "barrier_gap": _number(part.barrier_gaps[row]),
        "stratum": int(part.strata[row]),
    }


def _number(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None  # JSON knows no NaN
