"""The port for those who watch: Prometheus' page, and the operator's, on threads of their own."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Self

import structlog
from prometheus_client import make_wsgi_app, start_http_server

from detector.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from prometheus_client import CollectorRegistry

METRICS_PATH: Final = "/metrics"
_READING: Final = {"GET", "HEAD"}

_log = structlog.get_logger(__name__)


class MetricsServer:
    """Serves a registry over HTTP until it is stopped, and the operator's page once there is one.

    Args:
        registry: What to show.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.

    Raises:
        SettingsError: The address can't be listened on.
    """

    def __init__(self, registry: CollectorRegistry, *, host: str, port: int) -> None:
        self._metrics = make_wsgi_app(registry)
        self._page: Callable[[], str] | None = None
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise SettingsError(
                f"metrics_port: can't listen on port {port} of {host}: {error.strerror}; set another, or 0 for any free"
            ) from error
        self._server.set_app(self._answer)

    @property
    def port(self) -> int:
        """The port listened on."""
        return self._server.server_port

    def show(self, page: Callable[[], str]) -> None:
        """From now on show this page at ``/``; called for every visit, on any thread."""
        self._page = page

    def stop(self) -> None:
        """Stop listening and end the thread."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == METRICS_PATH:
            return self._metrics(environ, start_response)
        if path != "/" or self._page is None:
            return _plain(start_response, HTTPStatus.NOT_FOUND, f"nothing here; metrics are at {METRICS_PATH}\n")
        if environ["REQUEST_METHOD"] not in _READING:
            return _plain(start_response, HTTPStatus.METHOD_NOT_ALLOWED, "this page is for reading\n")
        try:
            page = self._page()
        except Exception:  # noqa: BLE001 - whatever is wrong with a page, metrics must go on
            _log.exception("operator page")
            return _plain(start_response, HTTPStatus.INTERNAL_SERVER_ERROR, "the page failed; the log says why\n")
        return _reply(start_response, HTTPStatus.OK, "text/html", page)


def _plain(start_response: StartResponse, status: HTTPStatus, text: str) -> Iterable[bytes]:
    return _reply(start_response, status, "text/plain", text)


def _reply(start_response: StartResponse, status: HTTPStatus, kind: str, text: str) -> Iterable[bytes]:
    headers = {
        "Content-Type": f"{kind}; charset=utf-8",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
    }
    start_response(f"{status.value} {status.phrase}", list(headers.items()))
    return [text.encode()]
