"""HTTP/2 by hand, so that a caller can do what no gRPC library would: stop, trickle, never read, send nonsense."""

from __future__ import annotations

import socket
import struct
from typing import Final, Self

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW: Final = 4
_HEADER: Final = struct.Struct(">BHBBI")
_SECONDS: Final = 30.0


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """A frame; `length` is claimed instead of the payload's own."""
    size = len(payload) if length is None else length
    return _HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    """A SETTINGS frame, empty or with ``initial_window``."""
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", INITIAL_WINDOW, value) for value in values.values()))


def headers(path: str) -> bytes:
    """The header block of a call, every field spelt out (RFC 7541, 6.2.2)."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "test",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields.items())


def message(body: bytes) -> bytes:
    """A message as gRPC frames it."""
    return struct.pack(">BI", 0, len(body)) + body


class Connection:
    """A TCP connection to a server, for as long as the ``with`` block lasts.

    Args:
        target: host:port.
        say: What is sent at once.
    """

    def __init__(self, target: str, say: bytes = b"") -> None:
        host, port = target.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=_SECONDS)
        if say:
            self.send(say)

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.socket.sendall(data)

    def closed_by_peer(self, within: float) -> bool:
        """Whether the server ends the connection, no gap between two of its words being longer than `within` s."""
        self.socket.settimeout(within)
        try:
            while self.socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return True

    def frames(self) -> list[tuple[int, int, int]]:
        """Kinds, flags and streams of the frames that come, up to the end of a stream."""
        found: list[tuple[int, int, int]] = []
        while True:
            high, low, kind, flags, stream = _HEADER.unpack(self._exactly(_HEADER.size))
            self._exactly(high << 16 | low)
            found.append((kind, flags, stream))
            if stream and (kind == RST_STREAM or (kind in {DATA, HEADERS} and flags & END_STREAM)):
                return found

    def reset(self) -> None:
        """Go away without a word: the peer sees a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError(f"the server closed the connection after {len(data)} of {size} bytes")
            data += part
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def _text(value: str) -> bytes:
    return bytes([len(value)]) + value.encode()
