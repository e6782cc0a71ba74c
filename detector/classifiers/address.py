"""Where a classifier runs that is not a file: ``grpc://host:port/model/version``, and what a bundle keeps of that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from detector.classifiers.base import PixelType
from detector.errors import ClassifierError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMES: Final = {"grpc": False, "grpcs": True}
"""Schemes of addresses, and whether they mean TLS."""
MAX_BATCH: Final = 4096
_MAX_ADDRESS: Final = 2048
_OPTIONS: Final = ("input", "output", "dtype", "batch")
_PATH_PARTS: Final = 2


@dataclass(frozen=True, kw_only=True)
class RemoteAddress:
    """What an address says.

    Args:
        target: ``host:port``.
        tls: Whether to speak TLS.
        model: Name of the model; empty where the address names none.
        version: Of the model; empty leaves the choice to the server.
        input: Name of its input; None takes the only one.
        output: Name of the output that holds the classes; None takes the only one that can.
        dtype: Element type to send; None takes the one that is declared.
        batch: Most images per request; None: what fits.
    """

    target: str
    tls: bool = False
    model: str = ""
    version: str = ""
    input: str | None = None
    output: str | None = None
    dtype: PixelType | None = None
    batch: int | None = None


@dataclass(frozen=True, kw_only=True)
class RemoteModel:
    """A model behind an endpoint of the Open Inference Protocol, as a bundle knows it. Holds no secret.

    Args:
        target: ``host:port``, or any gRPC name.
        tls: Whether to speak TLS.
        model: Its name.
        version: Empty leaves the choice to the server.
        input: Name of its input.
        output: Name of the output that holds the classes.
        batch: Most images per request, 1..4096.
        fixed_batch: Whether it takes exactly `batch` images.

    Raises:
        ClassifierError: A name is empty, or `batch` is out of range.
    """

    target: str
    tls: bool
    model: str
    version: str
    input: str
    output: str
    batch: int
    fixed_batch: bool = False

    def __post_init__(self) -> None:
        for name in ("target", "model", "input", "output"):
            if not getattr(self, name):
                raise ClassifierError(f"RemoteModel.{name} must not be empty")
        if not 1 <= self.batch <= MAX_BATCH:
            raise ClassifierError(f"RemoteModel.batch must lie in 1..{MAX_BATCH}, not {self.batch}")

    @property
    def url(self) -> str:
        """Its address, for people."""
        version = f"/{self.version}" if self.version else ""
        return f"{'grpcs' if self.tls else 'grpc'}://{self.target}/{self.model}{version}"

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready mapping that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> RemoteModel:
        """Read what `to_json` wrote.

        Raises:
            ClassifierError: A field is missing or out of range.
        """
        try:
            return cls(
                **{name: str(fields[name]) for name in ("target", "model", "version", "input", "output")},
                tls=bool(fields["tls"]),
                batch=int(fields["batch"]),
                fixed_batch=bool(fields["fixed_batch"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ClassifierError(f"RemoteModel: unreadable field: {error!r}") from error


def is_address(text: str) -> bool:
    """Whether a classifier is given by an address: it begins with ``grpc://`` or ``grpcs://``."""
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def parse_address(text: str) -> RemoteAddress:
    """Read an address: ``grpc://host:port[/model[/version]][?input=...&output=...&dtype=...&batch=...]``.

    Raises:
        ClassifierError: It is none; says which part is wrong.
    """
    if len(text) > _MAX_ADDRESS:
        raise ClassifierError(f"an address has at most {_MAX_ADDRESS} characters, not {len(text)}")
    if "@" in text or "#" in text:  # first of all, because what is wrong otherwise is told with the address
        raise ClassifierError("an address holds no user name, password or fragment; tokens come from a file")
    try:
        parts = urlsplit(text)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        port = parts.port
    except ValueError as error:
        raise ClassifierError(f"{text}: not an address: {error}") from error
    if parts.scheme not in SCHEMES:
        raise ClassifierError(f"{text}: an address begins with grpc:// or grpcs://")
    if not parts.hostname or port is None:
        raise ClassifierError(f"{text}: an address names host and port, as in grpc://localhost:8001/model")
    path = [unquote(part) for part in parts.path.split("/")[1:] if part]
    if len(path) > _PATH_PARTS:
        raise ClassifierError(f"{text}: after host and port come the model and its version, and no more")
    model, version = (*path, "", "")[:_PATH_PARTS]
    given = _options(text, options)
    return RemoteAddress(
        target=parts.netloc,
        tls=SCHEMES[parts.scheme],
        model=model,
        version=version,
        input=given.get("input"),
        output=given.get("output"),
        dtype=_dtype(given.get("dtype")),
        batch=_batch(given.get("batch")),
    )


def _options(text: str, options: list[tuple[str, str]]) -> dict[str, str]:
    given = dict(options)
    if len(given) < len(options):
        raise ClassifierError(f"{text}: an option is given twice")
    for name, value in given.items():
        if name not in _OPTIONS:
            raise ClassifierError(
                f"{text}: no option of an address is called {name!r}; there are {', '.join(_OPTIONS)}"
            )
        if not value:
            raise ClassifierError(f"{text}: the option {name!r} is empty")
    return given


def _dtype(value: str | None) -> PixelType | None:
    try:
        return None if value is None else PixelType(value)
    except ValueError as error:
        raise ClassifierError(f"dtype of an address is one of {', '.join(PixelType)}, not {value!r}") from error


def _batch(value: str | None) -> int | None:
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= MAX_BATCH):
        raise ClassifierError(f"batch of an address lies in 1..{MAX_BATCH}, not {value!r}")
    return int(value)
