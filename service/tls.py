"""TLS and mutual TLS; certificates that are rotated are read again, without a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import structlog

from detector.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from service.settings import ServiceSettings

_log = structlog.get_logger(__name__)


def server_credentials(settings: ServiceSettings) -> grpc.ServerCredentials | None:
    """What the server proves itself with; None for plain text.

    Raises:
        SettingsError: A file can't be read.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    files = _Files(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    changed: Any = files.changed  # None, for no change, is missing in grpc's types
    return grpc.dynamic_ssl_server_credentials(
        files.configuration(), changed, require_client_authentication=settings.tls_client_ca is not None
    )


class _Files:
    """The files of a server's credentials.

    Args:
        certificate: Its chain, PEM.
        key: Its private key, PEM.
        client_ca: Who signs the certificates of clients, PEM; None asks clients for none.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self._contents = self._read()

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        """What was read last."""
        certificate, key, client_ca = self._contents
        return grpc.ssl_server_certificate_configuration([(key, certificate)], root_certificates=client_ca)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Called before every handshake: a new configuration where the files have changed."""
        try:
            contents = self._read()
        except SettingsError as error:
            _log.error("certificates not reloaded", reason=str(error))
            return None
        if contents == self._contents:
            return None
        self._contents = contents
        _log.info("certificates reloaded", certificate=str(self._certificate))
        return self.configuration()

    def _read(self) -> tuple[bytes, bytes, bytes | None]:
        client_ca = None if self._client_ca is None else _content("tls_client_ca", self._client_ca)
        return _content("tls_certificate", self._certificate), _content("tls_key", self._key), client_ca


def _content(setting: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{setting} {file}: can't be read: {error.strerror}") from error
