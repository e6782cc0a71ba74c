"""Quotas: images per minute that each caller may ask about, as token buckets."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from detector.errors import LimitExceededError, QuotaError

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_CALLERS: Final = 10_000
_MINUTE: Final = 60.0


class Quota:
    """What callers may still ask.

    Args:
        images_per_minute: For each; as many may come at once. 0 sets no quota.
        clock: Seconds, rising.
    """

    def __init__(self, images_per_minute: int, *, clock: Callable[[], float]) -> None:
        self._size, self._clock = images_per_minute, clock
        # Per caller, longest unseen first: images left, and when that was so.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, images: int) -> None:
        """Count a request's images.

        Raises:
            LimitExceededError: More than a minute's quota in one request.
            QuotaError: The caller's quota is used up; says when it will do.
        """
        if not self._size:
            return
        if images > self._size:
            raise LimitExceededError(f"{images} images, the quota is {self._size} per minute", field="images")
        now = self._clock()
        left, since = self._left.pop(caller, (float(self._size), now))
        left = min(self._size, left + (now - since) * self._size / _MINUTE)
        enough = images <= left
        self._left[caller] = (left - images if enough else left, now)
        if len(self._left) > _MOST_CALLERS:
            self._left.popitem(last=False)
        if not enough:
            seconds = (images - left) * _MINUTE / self._size
            raise QuotaError(
                f"the quota of {self._size} images per minute is used up; try again in {seconds:.2f} s",
                retry_after=seconds,
            )
