"""Every error Isthmus raises on purpose.

The tree (the transport maps each branch to one status code, in one place)::

    IsthmusError
    +-- FieldError                 about a field of the caller's; names it
    |   +-- InvalidInputError      the data is wrong (names the image's index)
    |   +-- LimitExceededError     the data is too large; names the limit and the value
    |   `-- WithheldError          an image is flagged, and this deployment gives no prediction of such
    +-- OverloadedError            the queue is full; says when to try again
    |   `-- QuotaError             the caller asked about as much as they may; likewise
    +-- NotFoundError              what the caller asks for is not here; says what is
    +-- UnauthenticatedError       the caller did not prove who they are
    +-- NotReadyError              starting or draining
    +-- UpstreamUnavailableError   the classifier runs elsewhere and can't be asked now; says when to try again
    +-- DeadlineError              the caller's deadline passed before there was an answer
    +-- ServiceFailedError         the service failed; only its log says why, under the id in the message
    +-- SettingsError              a setting is wrong; names it
    +-- BundleError                a bundle can't be used; names the file
    |   +-- BundleIntegrityError   missing, altered or half-written file
    |   +-- BundleSchemaError      made by a newer (or unknown) schema
    |   +-- ClassifierMismatchError  the running classifier isn't the calibrated one
    |   `-- FusionError            its guard can't be one graph; the reference engine runs it
    +-- ClassifierError            a classifier can't be loaded or breaks its contract
    |   `-- GradientsUnavailableError  no way to differentiate it
    +-- DataError                  a folder, zip, npz or data set can't be read, or has the wrong labels
    +-- CalibrationError           there is not enough, or not the right, data to calibrate
    +-- AnalysisError              an analysis is told what makes no sense, or finds nothing to analyse; says what
    +-- ScaleOutError              work spread over a Ray cluster can't be started there, or was given up there
    `-- MissingExtraError          an optional dependency is not installed; says which extra brings it
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from detector.verdicts import Verdict


class IsthmusError(Exception):
    """Base of all errors raised on purpose; its text is safe to show to a caller."""


class FieldError(IsthmusError):
    """About a field of the caller's data.

    Args:
        message: What is wrong and what would be right.
        field: The field, in the caller's terms, such as ``images[3]``.
    """

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(f"{field}: {message}")
        self.message = message
        self.field = field

    def renamed(self, field: str) -> Self:
        """The same of a field that the caller knows by another name."""
        return type(self)(self.message, field=field)


class InvalidInputError(FieldError):
    """The caller's data is wrong."""


class LimitExceededError(FieldError):
    """The caller's data is larger than this deployment accepts; the message says the limit and what passed it."""


class WithheldError(FieldError):
    """An image is flagged, and this deployment gives no prediction of such images.

    Args:
        message: The verdict and whose decision it is.
        field: The image, in the caller's terms, such as ``images[3]``.
        verdict: Of the image.
    """

    def __init__(self, message: str, *, field: str, verdict: Verdict) -> None:
        super().__init__(message, field=field)
        self.verdict = verdict

    def renamed(self, field: str) -> Self:
        """As `FieldError.renamed`."""
        return type(self)(self.message, field=field, verdict=self.verdict)


class OverloadedError(IsthmusError):
    """The service can't take more work now.

    Args:
        message: What is full.
        retry_after: Seconds after which trying again makes sense.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class QuotaError(OverloadedError):
    """The caller's quota is used up; there may be room for others."""


class NotFoundError(IsthmusError):
    """What the caller asks for is not here."""


class UnauthenticatedError(IsthmusError):
    """The caller did not prove who they are."""


class NotReadyError(IsthmusError):
    """The service is starting or draining."""


class UpstreamUnavailableError(IsthmusError):
    """The classifier runs elsewhere and can't be asked now: out of reach, full, silent, or given a rest.

    Args:
        message: Where it runs and what happened; for who runs the guard, not for who calls it.
        retry_after: Seconds after which trying again makes sense.
    """

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(IsthmusError):
    """The caller's deadline passed before there was an answer."""


class ServiceFailedError(IsthmusError):
    """The service failed in a way that is its operator's to mend; its log tells more under the id in the message."""


class SettingsError(IsthmusError):
    """A setting of the service is unknown or out of range, or can't be put into effect."""


class BundleError(IsthmusError):
    """A bundle can't be used."""


class BundleIntegrityError(BundleError):
    """A bundle's file is missing, altered or half-written."""


class BundleSchemaError(BundleError):
    """A bundle was written by a newer or unknown schema."""


class ClassifierMismatchError(BundleError):
    """The running classifier does not give the answers stored at calibration.

    Args:
        message: In what they differ.
        deviation: How many times as much as is allowed; infinite where there is nothing to compare.
    """

    def __init__(self, message: str, *, deviation: float = math.inf) -> None:
        super().__init__(message)
        self.deviation = deviation


class FusionError(BundleError):
    """A bundle's guard can't be written as one graph."""


class ClassifierError(IsthmusError):
    """A classifier can't be loaded, or breaks its contract (images in, finite logits out)."""


class GradientsUnavailableError(ClassifierError):
    """The classifier can't be differentiated."""


class DataError(IsthmusError):
    """Images or labels can't be read, or don't fit the classifier."""


class CalibrationError(IsthmusError):
    """There is not enough, or not the right, data to calibrate."""


class AnalysisError(IsthmusError):
    """An analysis is told what makes no sense, or finds nothing that it could analyse."""


class ScaleOutError(IsthmusError):
    """Work can't be spread over a Ray cluster, or the cluster gave it up."""


class MissingExtraError(IsthmusError):
    """An optional dependency is not installed.

    Args:
        package: The package that is missing.
        extra: The extra of this project that brings it.
        purpose: What it is needed for.
    """

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}: pip install 'isthmus[{extra}]'")
