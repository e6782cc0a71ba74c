"""Who calls, by a bearer token. Tokens are hashed at rest; files of them are read again when they change."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import grpc

from detector.errors import SettingsError, UnauthenticatedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
    from pathlib import Path

    Handler = Any  # grpc.RpcMethodHandler; its published types leave out what aio puts into it
    Context = grpc.aio.ServicerContext[Any, Any]

_HEADER: Final = "authorization"
_SCHEME: Final = "bearer "
_LINE: Final = re.compile(r"(?P<name>[!-~]{1,128})\s+(?P<digest>[0-9a-f]{64})")
_TOKEN_BYTES: Final = 32
# Probes carry no token, and learn nothing but whether the server is there.
_OPEN: Final = "/grpc.health.v1.Health/"

_identity: ContextVar[str] = ContextVar("identity", default="")


@dataclass(frozen=True)
class NewToken:
    """A token that was just made.

    Args:
        token: For the caller; it is stored nowhere.
        line: For the file of tokens.
    """

    token: str
    line: str


def new_token(name: str) -> NewToken:
    """Make a token for a caller.

    Raises:
        SettingsError: The name has spaces or is longer than 128 characters.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    line = f"{name} {_digest(token)}"
    if not _LINE.fullmatch(line):
        raise SettingsError("a caller's name must be 1 to 128 printable characters without spaces")
    return NewToken(token, line)


class Tokens:
    """Callers by their tokens.

    Args:
        file: One line per token: the caller's name and the token's SHA-256, hexadecimal. ``#`` begins a comment.

    Raises:
        SettingsError: It can't be read, or a line is none.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._stamp: object = None
        self._digests: dict[str, str] = {}
        self._refresh()

    def caller(self, token: str) -> str | None:
        """The name that goes with a token; None where there is none. Takes as long for every token."""
        self._refresh()
        given, found = _digest(token), None
        for digest, name in self._digests.items():
            if hmac.compare_digest(digest, given):
                found = name
        return found

    def _refresh(self) -> None:
        try:
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return
            self._digests = _parsed(self._file.read_text(encoding="utf-8").splitlines(), self._file)
            self._stamp = stamp
        except (OSError, UnicodeDecodeError) as error:
            # Once it was read, a file that is just being replaced takes nobody's access away.
            if self._stamp is None:
                raise SettingsError(f"auth_tokens {self._file}: can't be read: {error}") from error
        except SettingsError:
            if self._stamp is None:
                raise


class AuthInterceptor(grpc.aio.ServerInterceptor):
    """Lets in who has a token, and remembers whose it is.

    Args:
        tokens: Callers by their tokens.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Give refused calls a handler that says so."""
        handler = await continuation(handler_call_details)
        if handler is None or str(handler_call_details.method).startswith(_OPEN):
            return handler
        name = self._tokens.caller(_bearer(handler_call_details.invocation_metadata or ()))
        if name is None:
            return _refusal(handler)
        _identity.set(name)
        return handler


def caller_name(context: Context) -> str:
    """How callers are told apart: by their tokens' names, else by their connections."""
    return _identity.get() or context.peer()


def _bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == _HEADER and isinstance(value, str) and value.lower().startswith(_SCHEME):
            return value[len(_SCHEME) :].strip()
    return ""


def _refusal(handler: Handler) -> Handler:
    """A handler of the same kind that refuses."""

    async def single(request: Any, context: Context) -> Any:
        del request, context
        return _refused()

    async def stream(request: Any, context: Context) -> AsyncIterator[Any]:
        del request, context
        yield _refused()

    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(stream)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(stream)
    return grpc.unary_unary_rpc_method_handler(single)


def _refused() -> Any:
    raise UnauthenticatedError("send a valid token as metadata: authorization: Bearer <token>")


def _parsed(lines: Iterable[str], file: Path) -> dict[str, str]:
    """Names by digest."""
    found = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            raise SettingsError(f"auth_tokens {file}, line {number}: a name and a SHA-256 are expected")
        found[match["digest"]] = match["name"]
    return found


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
