"""Before the load: images and their right answers, in every process that has users; the master waits for all."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import gevent
import grpc.experimental.gevent as grpc_gevent
from locust import LoadTestShape
from locust.runners import MasterRunner, WorkerRunner

from detector.errors import IsthmusError, NotReadyError, SettingsError
from loadtest.material import read_mix
from loadtest.options import Traffic, access_of, shape_of
from loadtest.shapes import Shape, ShapeName
from loadtest.users import GuardUser, Prepared

if TYPE_CHECKING:
    from locust.env import Environment
    from locust.runners import Runner

_LOG: Final = logging.getLogger(__name__)
_PREPARED: Final = "isthmus_prepared"
_MOST_SECONDS: Final = 600.0
_POLL_SECONDS: Final = 0.1
_GRACE: Final = 1.0
_COME_AND_GO: Final = 100.0


class Users(LoadTestShape):
    """A shape as locust wants it.

    Args:
        shape: Its numbers.
        name: Which it is.
    """

    abstract = True  # it is made here, not found by locust
    use_common_options = True

    def __init__(self, shape: Shape, name: ShapeName) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # locust's own
        self._shape, self._name = shape, name

    def tick(self) -> tuple[int, float] | None:
        """Users there shall be, and how many may come or go in a second."""
        users = self._shape.users_at(self._name, time.perf_counter() - self.start_time)
        return None if users is None else (users, _COME_AND_GO)


def prepare(environment: Environment, runner: Runner, **_: Any) -> None:
    """Make ready what this process needs, or end it with one line that says why not."""
    given: Any = environment.parsed_options
    # Users may end what they have begun; locust would cut it off.
    environment.stop_timeout = environment.stop_timeout or given.request_timeout + _GRACE
    if (name := ShapeName(given.shape)) is not ShapeName.CONSTANT:
        environment.shape_class = Users(shape_of(given), name)
        environment.shape_class.runner = runner
    try:
        if isinstance(runner, MasterRunner):
            _wait_for_workers(runner, given)
        else:
            _prepare_users(given)
    except IsthmusError as error:
        _LOG.error("%s", error)
        if isinstance(runner, WorkerRunner):
            runner.send_message(_PREPARED, {"error": str(error)})
            gevent.sleep(_GRACE)  # until it is sent
        sys.exit(1)
    if isinstance(runner, WorkerRunner):
        runner.send_message(_PREPARED, {"error": ""})


def _prepare_users(given: Any) -> None:
    for name in ("bundle", "clean"):
        if not getattr(given, name):
            raise SettingsError(f"--{name} must be given")
    grpc_gevent.init_gevent()  # of this process as a whole, before it makes any channel
    begin = time.monotonic()
    mix = read_mix(
        Path(given.bundle),
        given.clean,
        given.attacked,
        share=given.share,
        limit=given.images,
        breathe=lambda: gevent.sleep(0),
    )
    _LOG.info("%s; scored offline in %.1f s", mix, time.monotonic() - begin)
    GuardUser.prepared = Prepared(mix, Traffic.of(given), access_of(given))
    GuardUser.ready.set()


def _wait_for_workers(runner: MasterRunner, given: Any) -> None:
    told: list[str] = []
    runner.register_message(_PREPARED, lambda msg, **_: told.append(msg.data["error"]))
    until = time.monotonic() + (given.expect_workers_max_wait or _MOST_SECONDS)
    while len(told) < given.expect_workers and not any(told):
        if time.monotonic() > until:
            raise NotReadyError(f"only {len(told)} of {given.expect_workers} workers are ready")
        gevent.sleep(_POLL_SECONDS)
    if errors := {error for error in told if error}:
        runner.quit()
        raise SettingsError(f"a worker can't begin: {'; '.join(sorted(errors))}")
