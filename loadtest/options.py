"""The load test's own options of the locust command line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from loadtest.bars import Thresholds
from loadtest.shapes import Shape, ShapeName
from service.access import Access

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable

_MAX_IMAGES: Final = 100_000
_DEFAULT_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """What each user asks, and when.

    Args:
        think: Least and most seconds between an answer and the next request.
        rate: Requests per second of each user, whatever is still under way; 0: the next one waits for the answer.
        batch: Images of a batch.
        stream_requests: Requests of a stream.
        stream_window: Of them, unanswered at any time.
        timeout: Seconds a request may take; a stream, for each of its requests.
        model: Name of the model, for the Open Inference Protocol.
        seed: Of what is drawn.
    """

    think: tuple[float, float]
    rate: float
    batch: int
    stream_requests: int
    stream_window: int
    timeout: float
    model: str
    seed: int

    @classmethod
    def of(cls, given: Any) -> Self:
        """From parsed options."""
        return cls(
            think=(given.think_min, max(given.think_min, given.think_max)),
            rate=given.rate,
            batch=given.batch,
            stream_requests=given.stream_requests,
            stream_window=given.stream_window,
            timeout=given.request_timeout,
            model=given.model,
            seed=given.seed,
        )


def thresholds_of(given: Any) -> Thresholds:
    """From parsed options."""
    return Thresholds(
        max_p99=given.max_p99_ms,
        max_failure_share=given.max_failure_share,
        max_refused_share=given.max_refused_share,
        min_rate=given.min_rate,
    )


def shape_of(given: Any) -> Shape:
    """From parsed options."""
    return Shape(
        users=given.num_users or 1,
        seconds=given.run_time or _DEFAULT_SECONDS,
        steps=given.steps,
        spike_every=given.spike_every,
        spike_seconds=given.spike_seconds,
        spike_factor=given.spike_factor,
    )


def access_of(given: Any) -> Access:
    """From parsed options; SettingsError where a file can't be read."""
    names = ("token_file", "ca", "certificate", "key")
    return Access.read(tls=given.tls, **{name: Path(file) for name in names if (file := getattr(given, name))})


def add_options(parser: ArgumentParser) -> None:
    """Add all of them; none is of a type that locust could not send to its workers."""
    data = parser.add_argument_group("Isthmus: what is sent")
    data.add_argument("--bundle", help="the bundle that the server serves; its answers are the right ones")
    data.add_argument("--clean", help="benign images: a folder, a zip of one, an .npz, as for isthmus calibrate")
    data.add_argument("--attacked", help="adversarial images, likewise")
    data.add_argument("--share", type=_share, help="of the images that are attacked ones, 0..1; 0.1 if there are any")
    data.add_argument("--images", type=_count, default=128, help="of each kind that are used, at most (%(default)s)")
    data.add_argument("--batch", type=_count, default=16, help="images of a batch (%(default)s)")
    data.add_argument("--stream-requests", type=_count, default=32, help="requests of a stream (%(default)s)")
    data.add_argument("--stream-window", type=_count, default=4, help="of them, unanswered at a time (%(default)s)")
    data.add_argument("--model", default="isthmus", help="its name in the Open Inference Protocol (%(default)s)")
    data.add_argument("--seed", type=int, default=0, help="of what is drawn (%(default)s)")
    when = parser.add_argument_group("Isthmus: when")
    when.add_argument(
        "--think-min", type=_seconds, default=0.0, help="least seconds between an answer and the next request"
    )
    when.add_argument("--think-max", type=_seconds, default=0.0, help="most of them; --think-min unless larger")
    when.add_argument(
        "--rate",
        type=_seconds,
        default=0.0,
        help="requests per second of each user, at random intervals, however many are under way; their time counts from"
        " when they are due. 0: each user waits for its answer (%(default)s)",
    )
    when.add_argument(
        "--request-timeout", type=_positive, default=30.0, help="seconds a request may take (%(default)s)"
    )
    when.add_argument(
        "--shape",
        choices=[name.value for name in ShapeName],
        default=ShapeName.CONSTANT.value,
        help="how the number of users changes over --run-time, up to --users (%(default)s)",
    )
    when.add_argument("--steps", type=_count, default=5, help="of the shape steps (%(default)s)")
    when.add_argument("--spike-every", type=_positive, default=20.0, help="seconds from spike to spike (%(default)s)")
    when.add_argument("--spike-seconds", type=_positive, default=5.0, help="how long a spike lasts (%(default)s)")
    when.add_argument("--spike-factor", type=_positive, default=4.0, help="times --users, in a spike (%(default)s)")
    access = parser.add_argument_group("Isthmus: getting in")
    access.add_argument("--token-file", help="file with the token to send")
    # Locust has --tls-cert and --tls-key for its own pages.
    access.add_argument("--tls", action="store_true", help="speak TLS")
    access.add_argument("--ca", help="who signs the server's certificate, PEM")
    access.add_argument("--certificate", help="the client's own certificate, PEM")
    access.add_argument("--key", help="its private key, PEM")
    bars = parser.add_argument_group("Isthmus: what must hold, or else the exit code is 1")
    bars.add_argument(
        "--max-p99-ms", type=_positive, help="p99 of the time of what is answered, of every kind of request"
    )
    bars.add_argument("--max-failure-share", type=_share, default=0.0, help="of the requests that fail (%(default)s)")
    bars.add_argument("--max-refused-share", type=_share, help="of the requests that are refused as too many")
    bars.add_argument("--min-rate", type=_positive, help="requests per second that are answered")


def _number(text: str, fits: Callable[[float], bool]) -> float:
    number = float(text)
    if not (math.isfinite(number) and fits(number)):
        raise ValueError(text)
    return number


def _seconds(text: str) -> float:
    return _number(text, lambda number: number >= 0)


def _positive(text: str) -> float:
    return _number(text, lambda number: number > 0)


def _share(text: str) -> float:
    return _number(text, lambda number: 0 <= number <= 1)


def _count(text: str) -> int:
    return int(_number(text, lambda number: 1 <= number <= _MAX_IMAGES and number == int(number)))
