"""How a client gets in: TLS, a certificate of its own, a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import grpc

from detector.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Access:
    """What a client shows and trusts.

    Args:
        token: Sent with every call; None sends none.
        tls: Whether to speak TLS.
        ca: Who signs the server's certificate, PEM; None trusts whom this machine trusts.
        certificate: The client's own certificate chain, PEM, for servers that want one.
        key: Its private key, PEM.
    """

    token: str | None = None
    tls: bool = False
    ca: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    @classmethod
    def read(
        cls,
        *,
        token_file: Path | None = None,
        tls: bool = False,
        ca: Path | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> Self:
        """Read it from files; a file of TLS's means TLS.

        Raises:
            SettingsError: A file can't be read.
        """
        token = None if token_file is None else _read(token_file).decode(errors="replace").strip()
        parts = [None if file is None else _read(file) for file in (ca, certificate, key)]
        return cls(token, tls or any(part is not None for part in parts), *parts)

    @property
    def credentials(self) -> grpc.ChannelCredentials | None:
        """For a channel; None for plain text."""
        if not self.tls:
            return None
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)

    def channel(self, api: Any, target: str, options: Sequence[tuple[str, Any]]) -> Any:
        """A channel of `grpc` or of `grpc.aio`, as `api`."""
        if (credentials := self.credentials) is not None:
            return api.secure_channel(target, credentials, options=options)
        return api.insecure_channel(target, options=options)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """For every call."""
        return () if self.token is None else (("authorization", f"Bearer {self.token}"),)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file}: can't be read: {error.strerror}") from error
