"""Structured logs on standard error: JSON for machines, or colours for people; other libraries' logs join in."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

import structlog

from service.choices import LogFormat, LogLevel

if TYPE_CHECKING:
    from structlog.typing import Processor

_GRPC: Final = "grpc._cython.cygrpc"
_CALLER_LEFT: Final = "ExecuteBatchError"


def configure_logging(*, level: LogLevel = LogLevel.INFO, style: LogFormat = LogFormat.JSON) -> None:
    """Set up logging for the whole process.

    Args:
        level: The least that is logged.
        style: How a line looks.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Our own lines, one for every call, go straight to the stream: by way of the standard library each would cost three
    # times as much.
    structlog.configure(
        processors=[*shared, *_rendering(style)],
        logger_factory=_StreamLogger,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(style)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.captureWarnings(capture=True)
    logging.getLogger(_GRPC).addFilter(_worth_logging)


class _StreamLogger(structlog.WriteLogger):
    """Writes lines to standard error, under the name that `add_logger_name` reads."""

    def __init__(self, name: str) -> None:
        super().__init__(sys.stderr)
        self.name = name


def _worth_logging(record: logging.LogRecord) -> bool:
    """All but gRPC's error and traceback for every caller who goes away while a stream's answer is written.

    That call is logged as CANCELLED; callers shall not fill the log with what looks like faults of the service.
    """
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or kind.__name__ != _CALLER_LEFT


def _rendering(style: LogFormat) -> list[Processor]:
    if style is LogFormat.CONSOLE:
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
