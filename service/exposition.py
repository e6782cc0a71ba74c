"""The metrics page, on its own port and threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from prometheus_client import start_http_server

from detector.errors import SettingsError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


class MetricsServer:
    """Serves a registry over HTTP until it is stopped.

    Args:
        registry: What to show.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.

    Raises:
        SettingsError: The address can't be listened on.
    """

    def __init__(self, registry: CollectorRegistry, *, host: str, port: int) -> None:
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise SettingsError(
                f"metrics_port: can't listen on port {port} of {host}: {error.strerror}; set another, or 0 for any free"
            ) from error

    @property
    def port(self) -> int:
        """The port listened on."""
        return self._server.server_port

    def stop(self) -> None:
        """Stop listening and end the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
