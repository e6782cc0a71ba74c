"""Ray clusters: one started on this machine for as long as it is needed, or one that runs already.

The one started here listens on the loopback interface alone and asks for a token drawn for this run. Ray's dashboard
and its usage statistics are off.
"""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from detector.errors import MissingExtraError, ScaleOutError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

AUTO: Final = "auto"
_CLIENT = "ray://"
_SECONDS = 5.0  # to find out whether anybody answers at an address


def require_ray() -> None:
    """Make sure that Ray is there, without importing it.

    Raises:
        MissingExtraError: It is not installed.
    """
    if find_spec("ray") is None:
        raise MissingExtraError("ray", extra="ray", purpose="--ray")


def _import_ray(settings: Mapping[str, str]) -> Any:
    """The module ``ray``, which reads its settings from the environment as it is imported."""
    require_ray()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    import ray

    return ray


@contextmanager
def local_cluster(cpus: int | None = None) -> Iterator[Any]:
    """A Ray of this machine, for as long as the context lasts.

    Args:
        cpus: CPUs that its workers share, however many there are; None takes all that this process may use.

    Yields:
        The module ``ray``, connected.

    Raises:
        MissingExtraError: Ray is not installed.
        ScaleOutError: It does not start.
    """
    settings = {
        # Ray turns a loopback address into that of the network, and binds all interfaces, unless it is told that this
        # system knows no clusters.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # Shards are no less urgent than they are without Ray, which would let anything else go first.
        "RAY_worker_niceness": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }
    ray = _import_ray(settings)
    count = cpus or len(os.sched_getaffinity(0))
    # Ray's sockets lie in this folder, and a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="isthmus-ray-", ignore_cleanup_errors=True) as folder:
        local = {"num_cpus": count, "include_dashboard": False, "_temp_dir": folder}
        with _connected(ray, "a local Ray does not start", address="local", **local):
            yield ray


@contextmanager
def joined_cluster(address: str) -> Iterator[Any]:
    """A Ray cluster that runs already.

    Args:
        address: ``auto`` for the one this machine is part of, ``host:port`` of its head, from a machine that is part of
            it, or ``ray://host:port`` from any.

    Yields:
        The module ``ray``, connected.

    Raises:
        MissingExtraError: Ray is not installed.
        ScaleOutError: The address is none, or no cluster lets us in there.
    """
    if address != AUTO:
        _check_answers(address)
    ray = _import_ray({})
    with _connected(ray, f"--ray-address {address}: can't join this Ray cluster", address=address):
        yield ray


@contextmanager
def _connected(ray: Any, refusal: str, **options: Any) -> Iterator[None]:
    """Connect quietly, and disconnect at the end; `refusal` is what is said where it can't be."""
    try:
        ray.init(**options, logging_level="ERROR", log_to_driver=False, configure_logging=False)
    # Ray raises unrelated classes, some of them built in, where its processes don't start or don't let us in.
    except Exception as error:
        ray.shutdown()
        raise ScaleOutError(f"{refusal}: {_first_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Find out in seconds what Ray takes minutes for."""
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ScaleOutError(f"--ray-address {address}: give auto, host:port or ray://host:port")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()
    except OSError as error:
        raise ScaleOutError(f"--ray-address {address}: nobody answers there: {error}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
