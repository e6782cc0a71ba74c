"""The audit log: one line of JSON for every flagged image, and the image itself if wanted, for who has to look into it.

Nothing here may hold up or end serving: entries are written by a thread of its own from a queue that is bounded in
bytes, and what can't be written (a full disk, a slow one) is counted and let go.
"""

from __future__ import annotations

import hashlib
import io
import json
import queue
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import structlog

from detector.data.decode import image_suffix
from service.convert import image_as_sent
from service.quarantine import Quarantine
from service.rotation import LineFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from isthmus.v1 import detector_pb2 as pb
    from service.flagged import FlaggedImage
    from service.settings import ServiceSettings

# Flagged images that wait to be written: enough for a burst, little beside the queue for the engine.
_MOST_WAITING_BYTES: Final = 64 << 20
_LOG_EVERY_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 10.0

_log = structlog.get_logger(__name__)


class LossReason(StrEnum):
    """Why an entry, or its image, was not written."""

    QUEUE_FULL = "queue_full"
    LOG_FAILED = "log_failed"
    QUARANTINE_FAILED = "quarantine_failed"


class AuditObserver(Protocol):
    """Is told what became of entries."""

    def audited(self) -> None:
        """An entry was written."""
        ...

    def audit_lost(self, reason: LossReason) -> None:
        """An entry or its image was not."""
        ...


class AuditLog:
    """Writes entries down. Safe to use from several threads.

    Args:
        lines: Where entries go.
        quarantine: Where images go; None keeps none.
        observer: Is told of every entry.
    """

    def __init__(self, lines: LineFile, quarantine: Quarantine | None, observer: AuditObserver) -> None:
        self._lines, self._quarantine, self._observer = lines, quarantine, observer
        self._waiting: queue.SimpleQueue[tuple[FlaggedImage, bytes | NDArray[Any]] | None] = queue.SimpleQueue()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        self._complained = -_LOG_EVERY_SECONDS
        self._writer = threading.Thread(target=self._write_all, name="audit", daemon=True)
        self._writer.start()

    def record(self, request: pb.ScoreRequest, flagged: Iterable[FlaggedImage]) -> None:
        """Write down the flagged images of a request, soon; returns at once.

        Args:
            request: Whose images.
            flagged: Those that are flagged.
        """
        for entry in flagged:
            self._put(entry, image_as_sent(request, entry.image))

    def close(self) -> None:
        """Write what waits, for as long as a stop may take, and end the thread."""
        self._waiting.put(None)
        self._writer.join(_CLOSE_SECONDS)

    def _put(self, entry: FlaggedImage, image: bytes | NDArray[Any]) -> None:
        size = _size(image)
        with self._lock:
            fits = self._waiting_bytes + size <= _MOST_WAITING_BYTES
            self._waiting_bytes += size * fits
        if fits:
            # A copy, because the view would keep its whole request in memory.
            self._waiting.put((entry, image if isinstance(image, bytes) else image.copy()))
        else:
            self._lost(LossReason.QUEUE_FULL, "it waits for a slow disk")

    def _write_all(self) -> None:
        while (waiting := self._waiting.get()) is not None:
            entry, image = waiting
            self._write(entry, image)
            with self._lock:
                self._waiting_bytes -= _size(image)

    def _write(self, entry: FlaggedImage, image: bytes | NDArray[Any]) -> None:
        content, suffix = _as_file(image)
        digest = hashlib.sha256(content).hexdigest()
        kept = None
        if self._quarantine is not None:
            try:
                kept = self._quarantine.keep(f"{digest}{suffix}", content)
            except OSError as error:
                self._lost(LossReason.QUARANTINE_FAILED, str(error))
        line = json.dumps(asdict(entry) | {"sha256": digest, "quarantined": kept}, allow_nan=False)
        try:
            self._lines.append(line.encode())
        except OSError as error:
            self._lost(LossReason.LOG_FAILED, str(error))
        else:
            self._observer.audited()

    def _lost(self, reason: LossReason, why: str) -> None:
        self._observer.audit_lost(reason)
        now = datetime.now(UTC).timestamp()
        if now - self._complained >= _LOG_EVERY_SECONDS:  # a full disk must not fill the log as well
            self._complained = now
            _log.error("audit", reason=reason, why=why)


def open_audit_log(settings: ServiceSettings, observer: AuditObserver) -> AuditLog | None:
    """The audit log that the settings ask for; None where they ask for none.

    Raises:
        SettingsError: Its file or the quarantine's folder can't be used.
    """
    if settings.audit_log is None:
        return None
    lines = LineFile(settings.audit_log, max_bytes=settings.audit_max_bytes, files=settings.audit_files)
    folder = settings.quarantine
    quarantine = None if folder is None else Quarantine(folder, max_bytes=settings.quarantine_max_bytes)
    return AuditLog(lines, quarantine, observer)


def _size(image: bytes | NDArray[Any]) -> int:
    return len(image) if isinstance(image, bytes) else image.nbytes


def _as_file(image: bytes | NDArray[Any]) -> tuple[bytes, str]:
    """An image as a file: one that came as a file as it was, pixels as NumPy's own."""
    if isinstance(image, bytes):
        return image, image_suffix(image)
    file = io.BytesIO()
    np.save(file, image, allow_pickle=False)
    return file.getvalue(), ".npy"
