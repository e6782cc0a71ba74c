"""What a connection may hold and how long: callers who vanish, stand still or begin too much must cost little."""

from __future__ import annotations

import json
from typing import Final

_HANDSHAKE_SECONDS: Final = 10
"""From connecting to the first settings of HTTP/2, TLS included; gRPC's own two minutes let silence hold sockets."""
_IDLE_SECONDS: Final = 600
"""Without any call; a client that comes back connects again by itself."""
_PING_SECONDS: Final = 60
_PONG_SECONDS: Final = 20
"""A caller in mid-call who vanished without a word is let go of after both, and not after gRPC's two hours."""
_LEAST_PING_SECONDS: Final = 10
"""Callers may ping as often; gRPC's own five minutes would throw out those who keep a connection through a proxy."""
_CALLS: Final = 256
"""Under way on one connection; further ones wait at the caller. Without a limit each of the calls that a hostile caller
begins and takes back, thousands in a packet, would cost some ten kilobytes."""
_MILLISECONDS: Final = 1000


BALANCED: Final = ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]}))
"""Option of a client: its calls take turns between all addresses that a name has, instead of all going to one."""


def connection_options(*, max_age: float) -> list[tuple[str, int]]:
    """Options of a gRPC server for its connections.

    Args:
        max_age: Seconds after which a client is asked to connect anew; calls under way are finished. 0 never asks.
    """
    ageing = [("grpc.max_connection_age_ms", round(max_age * _MILLISECONDS))] if max_age else []
    return [
        *ageing,
        ("grpc.max_concurrent_streams", _CALLS),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_SECONDS * _MILLISECONDS),
        ("grpc.max_connection_idle_ms", _IDLE_SECONDS * _MILLISECONDS),
        ("grpc.keepalive_time_ms", _PING_SECONDS * _MILLISECONDS),
        ("grpc.keepalive_timeout_ms", _PONG_SECONDS * _MILLISECONDS),
        ("grpc.http2.min_ping_interval_without_data_ms", _LEAST_PING_SECONDS * _MILLISECONDS),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
