"""What settings choose among by name; apart from the settings, so that the command line can show it at no cost."""

from __future__ import annotations

from enum import StrEnum


class Policy(StrEnum):
    """What becomes of the predictions of flagged images.

    ANNOTATE: callers get them, with the evidence. WITHHOLD: callers get an error that says the verdict alone.
    """

    ANNOTATE = "annotate"
    WITHHOLD = "withhold"


class WithholdFrom(StrEnum):
    """The mildest verdict whose predictions are withheld."""

    SUSPECT = "suspect"
    ADVERSARIAL = "adversarial"


class LogFormat(StrEnum):
    """How a line of the log looks: for machines or for people."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """Least level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
