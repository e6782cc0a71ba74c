"""A new bundle in the place of the old: loaded beside it, checked, swapped in at once; a bad one changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import math
from typing import TYPE_CHECKING, Final

import structlog

from detector.errors import IsthmusError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.guard import Guard, GuardSlot
    from service.metrics import ReloadMetrics

_MANIFEST: Final = "manifest.json"

_log = structlog.get_logger(__name__)


class Reloader:
    """Watches a bundle's folder, and loads it again when it has changed or when it is told to.

    Args:
        bundle: The folder.
        interval: Seconds between two looks at it; 0 waits to be told.
        load: Loads the bundle, checks it and warms it up; called on the event loop.
        slot: Where the guard is.
        metrics: Are told of every try.
    """

    def __init__(
        self,
        bundle: Path,
        *,
        interval: float,
        load: Callable[[], asyncio.Future[Guard]],
        slot: GuardSlot,
        metrics: ReloadMetrics,
    ) -> None:
        self._bundle, self._interval, self._load = bundle, interval, load
        self._slot, self._metrics = slot, metrics
        self._told = asyncio.Event()
        self._seen = _fingerprint(bundle)
        self._task = asyncio.ensure_future(self._watch())
        self._closing: set[asyncio.Task[None]] = set()

    def reload(self) -> None:
        """Load the bundle again, soon, whether or not it has changed."""
        self._told.set()

    async def close(self) -> None:
        """Watch no more, and wait for guards that were replaced to finish."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._closing)

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._interval or None):
                    await self._told.wait()
            except TimeoutError:
                pass
            found = await asyncio.to_thread(_fingerprint, self._bundle)
            if self._told.is_set() or found not in {self._seen, None}:
                self._told.clear()
                self._seen = found
                await self._try()

    async def _try(self) -> None:
        old = self._slot.guard.bundle.digest
        try:
            guard = await self._load()
        except IsthmusError as error:
            self._metrics.tried(loaded=False)
            _log.error("reload refused", bundle=str(self._bundle), reason=str(error), bundle_digest=old)
            return
        except Exception:  # noqa: BLE001 - whatever a new bundle breaks, the old one goes on
            self._metrics.tried(loaded=False)
            _log.exception("reload failed", bundle=str(self._bundle), bundle_digest=old)
            return
        replaced = self._slot.put(guard)
        self._metrics.tried(loaded=True)
        _log.info("reloaded", bundle=str(self._bundle), bundle_digest=guard.bundle.digest, replaced=old)
        if replaced is not None:
            closing = asyncio.ensure_future(replaced.retire())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def written_at(bundle: Path) -> float:
    """When a folder's bundle was written, Unix time; NaN where there is none to be read."""
    try:
        return (bundle / _MANIFEST).stat().st_mtime
    except OSError:
        return math.nan


def _fingerprint(bundle: Path) -> str | None:
    """What tells one bundle in a folder from the next; None where there is none to be read."""
    try:
        return hashlib.sha256((bundle / _MANIFEST).read_bytes()).hexdigest()
    except OSError:
        return None
