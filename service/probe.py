"""Whether a server on this machine is ready: for containers' health checks, and for probes where TLS is on.

Use it so::

    python -m service.probe

It exits with 0 when the server says SERVING (grpc.health.v1), else with 1 and a line that says why. The server is found
as it was set up by the environment: ``ISTHMUS_PORT``, and with TLS ``ISTHMUS_TLS_CERTIFICATE``, ``ISTHMUS_TLS_KEY``
and ``ISTHMUS_TLS_CLIENT_CA``. What is set by a settings file or by flags is told by this command's own flags.
Imports gRPC alone, as it may run every few seconds.
"""

from __future__ import annotations

import argparse
import os
import socket
import ssl
import sys
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOOPBACK: Final = "127.0.0.1"
_PORT: Final = 50051
_TIMEOUT: Final = 4.0
_MOST_PORT: Final = 65535


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Whom to ask, and how.

    Args:
        host: Address of the server.
        port: Port of the server.
        service: Name to ask about; empty for the whole server.
        timeout: Seconds until an answer must be there.
        server_certificate: The very certificate (PEM) that the server shows, which is trusted; None speaks plain text.
        certificate: Certificate chain (PEM) to show, for mutual TLS.
        key: Private key (PEM) that goes with it.
    """

    host: str = _LOOPBACK
    port: int = _PORT
    service: str = ""
    timeout: float = _TIMEOUT
    server_certificate: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def ask(self) -> str:
        """The server's state, such as ``SERVING``.

        Raises:
            OSError: A file can't be read, or with TLS the server can't be reached or shows another certificate.
            grpc.RpcError: There is no answer in time, or an error.
        """
        with self._channel() as channel:
            request = health_pb2.HealthCheckRequest(service=self.service)
            reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=self.timeout)
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))

    def _channel(self) -> Any:
        target = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        if self.server_certificate is None:
            return grpc.insecure_channel(target)
        key, certificate = (file.read_bytes() if file else None for file in (self.key, self.certificate))
        credentials = grpc.ssl_channel_credentials(self.server_certificate.read_bytes(), key, certificate)
        # The certificate is of the name that callers use, which is not the loopback address.
        options = [("grpc.ssl_target_name_override", self._certified_name(self.server_certificate))]
        return grpc.secure_channel(target, credentials, options=options)

    def _certified_name(self, trusted: Path) -> str:
        """A name that the server's certificate is for."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # the name is what is asked for; the certificate itself is pinned
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(trusted)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((self.host, self.port), self.timeout) as plain,
            context.wrap_socket(plain) as secure,
        ):
            names: Any = (secure.getpeercert() or {}).get("subjectAltName", ())
        for kind, name in names:
            if kind == "DNS":
                return str(name).replace("*", "probe")
            if kind == "IP Address":
                return str(ip_address(str(name).strip()))
        raise ssl.SSLError(f"{trusted}: a certificate without a name (subjectAltName), which no gRPC client takes")


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """Ask, and say why not.

    Args:
        arguments: Of the command line; None takes the process's.
        environment: Where the server's settings are.

    Returns:
        0 when the server is ready, else 1; 2 for arguments that make no sense.
    """
    probe = _probe(_parser(environment).parse_args(arguments), environment)
    try:
        state = probe.ask()
    except grpc.RpcError as error:
        state = f"{error.code().name}: {error.details()}"
    except OSError as error:
        state = str(error)
    if state == "SERVING":
        return 0
    sys.stderr.write(f"not ready: {state}\n")
    return 1


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    def file(setting: str) -> Path | None:
        return Path(value) if (value := environment.get(f"ISTHMUS_{setting}")) else None

    parser = argparse.ArgumentParser(prog="python -m service.probe", description="Exit with 0 when a server is ready.")
    parser.add_argument("--host", default=_LOOPBACK, help="address of the server (%(default)s)")
    parser.add_argument("--port", type=_port, default=environment.get("ISTHMUS_PORT") or _PORT, help="its port")
    parser.add_argument("--service", default="", help="name to ask about; empty for the whole server")
    parser.add_argument("--timeout", type=float, default=_TIMEOUT, help="seconds to wait (%(default)s)")
    parser.add_argument(
        "--server-certificate", type=Path, default=file("TLS_CERTIFICATE"), help="the one that the server shows, PEM"
    )
    parser.add_argument("--certificate", type=Path, help="to show for mutual TLS, PEM; by default the server's own")
    parser.add_argument("--key", type=Path, help="private key that goes with it, PEM")
    return parser


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port <= _MOST_PORT:
        raise ValueError
    return port


def _probe(given: argparse.Namespace, environment: Mapping[str, str]) -> Probe:
    if given.certificate is None and environment.get("ISTHMUS_TLS_CLIENT_CA"):
        given.certificate = given.server_certificate
        given.key = Path(environment["ISTHMUS_TLS_KEY"])
    return Probe(**vars(given))


if __name__ == "__main__":
    sys.exit(main())
