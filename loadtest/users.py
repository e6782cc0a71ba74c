"""Locust users: one connection each, every answer checked, every request told to locust's statistics.

Importing locust patches Python's standard library for gevent: only a process that locust runs imports this.
"""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import gevent
import grpc
import numpy as np
from gevent.event import Event
from gevent.lock import Semaphore
from gevent.pool import Pool as Greenlets
from locust import User, task

from detector.errors import IsthmusError, OverloadedError, ServiceFailedError
from loadtest.answers import difference
from loadtest.wire import NATIVE, Api, oip_api
from service.status import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from locust.env import Environment

    from loadtest.material import Drawn, Mix
    from loadtest.options import Traffic
    from service.access import Access

ANSWERED: Final = "grpc"
REFUSED: Final = "refused"
WRONG: Final = "wrong"
"""Types of requests in locust's statistics. Failed ones stand beside the answered ones, with an error."""
MOST_UNDER_WAY: Final = 1000
"""Requests of one user; further ones that are due fail at once."""
_LOG: Final = logging.getLogger(__name__)
_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own, also to the same server
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)


class WrongAnswerError(Exception):
    """An answer is not what the bundle says offline."""


class RefusedError(Exception):
    """The server has no room for a request, and says so."""


class FailedError(Exception):
    """There was no answer; named by its status, so that statistics have few rows."""


@dataclass(frozen=True)
class Prepared:
    """All that users need.

    Args:
        mix: Images and their answers.
        traffic: What each user asks, and when.
        access: TLS and token.
    """

    mix: Mix
    traffic: Traffic
    access: Access


class GuardUser(User):
    """A user with a connection, who asks when it is time.

    Attributes:
        prepared: Set before there are users; whoever comes sooner waits for `ready`.
        ready: Set with it.
    """

    abstract = True
    prepared: ClassVar[Prepared]
    ready: ClassVar[Event] = Event()
    _numbers: ClassVar[Iterator[int]] = itertools.count()

    mix: Mix
    traffic: Traffic
    api: Api
    random: np.random.Generator

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._channel: Any = None
        self._under_way = Greenlets(MOST_UNDER_WAY)
        self._ids = itertools.count()
        self._pause, self._due = 0.0, 0.0

    def on_start(self) -> None:
        """Connect."""
        self.ready.wait()
        self.mix, self.traffic = self.prepared.mix, self.prepared.traffic
        self.api = self.choose_api()
        worker: int = getattr(self.environment.runner, "worker_index", 0)
        self.random = np.random.default_rng([self.traffic.seed, 1 + worker, next(self._numbers)])
        self._channel = self.prepared.access.channel(grpc, str(self.host), _OPTIONS)
        grpc.channel_ready_future(self._channel).result(self.traffic.timeout)
        self._due = time.perf_counter() + self._gap()
        if self.traffic.rate:
            gevent.sleep(max(0.0, self._due - time.perf_counter()))

    def on_stop(self) -> None:
        """Wait for what is under way, and hang up."""
        self._under_way.join(timeout=self.prepared.traffic.timeout if self.ready.is_set() else None)
        if self._channel is not None:
            self._channel.close()

    def choose_api(self) -> Api:
        """Which API is asked."""
        return NATIVE

    def ask(self, due: float) -> None:
        """Make a request, or several; `due` is when it should begin, on `time.perf_counter`."""
        raise NotImplementedError

    @task
    def next_request(self) -> None:
        """Ask when it is time: now, and wait for the answer, or in the background."""
        if not self.traffic.rate:
            self.ask(time.perf_counter())
        elif self._under_way.full():
            self.told(ANSWERED, "too late", self._due, 0, FailedError(f"{MOST_UNDER_WAY} requests under way"))
        else:
            self._under_way.spawn(self.ask, self._due)

    def wait_time(self) -> float:
        """Seconds until the next request."""
        now = time.perf_counter()
        if self.traffic.rate:
            self._due += self._gap()
            return max(0.0, self._due - now)
        pause, self._pause = self._pause, 0.0
        return max(pause, float(self.random.uniform(*self.traffic.think)))

    def told(self, kind: str, name: str, begin: float, size: int, error: Exception | None = None) -> None:
        """Tell locust of a request that has just ended; `size` is the reply's, bytes."""
        self.environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=1000 * (time.perf_counter() - begin),
            response_length=size,
            exception=error,
            context={},
        )

    def failed(self, name: str, begin: float, error: IsthmusError, where: str) -> None:
        """Tell of a request without an answer; its text, which may be different each time, goes to the log alone."""
        _LOG.debug("%s: %s: %s", name, where, error)
        if isinstance(error, OverloadedError):
            self._pause = error.retry_after
            self.told(REFUSED, name, begin, 0, RefusedError("overloaded"))
        else:
            self.told(ANSWERED, name, begin, 0, FailedError(f"{type(error).__name__}: {where}"))

    def checked(self, name: str, begin: float, message: bytes, wrong: str) -> None:
        """Tell of an answer; `wrong` says in what it is."""
        self.told(WRONG if wrong else ANSWERED, name, begin, len(message), WrongAnswerError(wrong) if wrong else None)

    def next_id(self) -> str:
        """Different for each request of this user."""
        return str(next(self._ids))

    def method(self, kind: str, name: str) -> Any:
        """A method of the API on bare bytes; `kind` is gRPC's, such as ``unary_unary``."""
        return getattr(self._channel, kind)(self.api.path(name))

    def _gap(self) -> float:
        return float(self.random.exponential(1 / self.traffic.rate)) if self.traffic.rate else 0.0


class UnaryUser(GuardUser):
    """Asks about some images in one request."""

    abstract = True

    def count(self) -> int:
        """Images of a request."""
        return 1

    def ask(self, due: float) -> None:
        """One request."""
        count = self.count()
        drawn = self.mix.draw(count, self.random)
        name = f"{self.api.unary} of {count}" if count > 1 else self.api.unary
        try:
            message = self.method("unary_unary", self.api.unary)(
                self.api.request(drawn.pixels, self.next_id()),
                timeout=self.traffic.timeout,
                metadata=self.prepared.access.metadata,
            )
            self.checked(name, due, message, difference(self.api.answers(message), drawn.answers))
        except grpc.RpcError as error:
            self.failed(name, due, from_rpc_error(error), _code(error))
        except IsthmusError as error:
            self.failed(name, due, error, "in the reply")


class StreamUser(GuardUser):
    """Asks about images one by one in a stream; each request's time counts from when it is written."""

    abstract = True

    def ask(self, due: float) -> None:
        """One stream."""
        del due  # a stream's requests wait for one another
        asked: list[tuple[str, Drawn, float]] = []
        window, over = Semaphore(self.traffic.stream_window), Event()
        call = self.method("stream_stream", self.api.stream)(
            self._requests(asked, window, over),
            timeout=self.traffic.timeout * self.traffic.stream_requests,
            metadata=self.prepared.access.metadata,
        )
        answered = 0
        try:
            for message in call:
                window.release()
                self._read(message, *asked[answered])
                answered += 1
        except grpc.RpcError as error:
            self._lost(asked[answered:], from_rpc_error(error), _code(error))
        else:
            self._lost(
                asked[answered:], ServiceFailedError("the server ended the stream"), "the stream ended too early"
            )
        finally:
            over.set()
            window.release()  # who waits for it would wait for ever
            call.cancel()

    def _requests(self, asked: list[tuple[str, Drawn, float]], window: Semaphore, over: Event) -> Iterator[bytes]:
        for _ in range(self.traffic.stream_requests):
            window.acquire()
            if over.is_set():
                return
            drawn = self.mix.draw(1, self.random)
            asked.append((self.next_id(), drawn, time.perf_counter()))
            yield self.api.stream_request(drawn.pixels, asked[-1][0])

    def _read(self, message: bytes, asked: str, drawn: Drawn, begin: float) -> None:
        name = self.api.stream
        try:
            found = self.api.stream_answers(message)
        except IsthmusError as error:
            self.failed(name, begin, error, "in the reply")
            return
        if found.error is not None:
            self.failed(name, begin, found.error, "in the stream")
        else:
            wrong = difference(found.answers, drawn.answers)
            self.checked(name, begin, message, wrong if found.id == asked else "another request's answer")

    def _lost(self, asked: list[tuple[str, Drawn, float]], error: IsthmusError, where: str) -> None:
        for _, _, begin in asked:
            self.failed(self.api.stream, begin, error, where)


class _Oip(GuardUser):
    abstract = True

    def choose_api(self) -> Api:
        return oip_api(self.traffic.model)


class _Batches(UnaryUser):
    abstract = True

    def count(self) -> int:
        return self.traffic.batch


class ScoreUser(UnaryUser):
    """One image a request, by the native API."""


class ScoreBatchUser(_Batches):
    """Batches, by the native API."""


class ScoreStreamUser(StreamUser):
    """Streams, by the native API."""


class InferUser(_Oip, UnaryUser):
    """One image a request, by the Open Inference Protocol."""


class InferBatchUser(_Oip, _Batches):
    """Batches, by the Open Inference Protocol."""


class InferStreamUser(_Oip, StreamUser):
    """Streams, by the Open Inference Protocol."""


def _code(error: grpc.RpcError) -> str:
    call: Any = error  # every RpcError a channel raises is also a Call; grpc's types don't say so
    return str(call.code().name)
