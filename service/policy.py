"""Policy: which predictions a deployment does not give, however its callers ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.errors import WithheldError
from detector.verdicts import Verdict
from service.choices import Policy, WithholdFrom
from service.convert import image_field

if TYPE_CHECKING:
    from isthmus.v1 import detector_pb2 as pb
    from service.answers import Answers
    from service.settings import ServiceSettings


def withheld_verdicts(settings: ServiceSettings) -> frozenset[Verdict]:
    """The verdicts whose predictions the settings withhold."""
    if settings.policy is Policy.ANNOTATE:
        return frozenset()
    if settings.withhold_from is WithholdFrom.SUSPECT:
        return frozenset({Verdict.SUSPECT, Verdict.ADVERSARIAL})
    return frozenset({Verdict.ADVERSARIAL})


def withheld(request: pb.ScoreRequest, answers: Answers, verdicts: frozenset[Verdict]) -> dict[int, WithheldError]:
    """What the caller is told instead of predictions, by index in the request.

    Args:
        request: Whose images.
        answers: To them.
        verdicts: Whose predictions are withheld.
    """
    if not verdicts:
        return {}
    return {
        index: WithheldError(
            f"is {part.verdicts[row]}; this deployment withholds predictions of such images",
            field=image_field(request, index),
            verdict=part.verdicts[row],
        )
        for index, part, row in answers.rows()
        if part.verdicts[row] in verdicts
    }
