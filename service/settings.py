"""Settings of the service: from flags, the environment (``ISTHMUS_*``) and a TOML file, in that order of precedence."""

from __future__ import annotations

import os
import tomllib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from detector.data.decode import DEFAULT_LIMITS
from detector.engine.choice import EngineChoice
from detector.errors import SettingsError
from service.choices import LogFormat, LogLevel, Policy, WithholdFrom
from service.drift import LEAST_P_VALUES
from service.upstream_settings import UpstreamSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

ENV_PREFIX: Final = "ISTHMUS_"
CONFIG_VARIABLE: Final = "ISTHMUS_CONFIG"
_MEBI: Final = 1 << 20
_MAX_PORT: Final = 65535
# A deployment that flags more than half of what is benign flags nothing in particular.
_MAX_RATE: Final = 0.5


class ServiceSettings(UpstreamSettings):
    """Everything that can be set about a running service; make one with `load_settings`."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    bundle: Path = Field(description="The detector bundle (a folder) to serve.")
    host: str = Field("127.0.0.1", description="Address to answer gRPC on; `0.0.0.0` for all of IPv4, `::` for all.")
    port: int = Field(50051, ge=0, le=_MAX_PORT, description="Port to answer gRPC on; 0 takes any free one.")
    metrics_enabled: bool = Field(True, description="Whether to serve Prometheus metrics.")
    metrics_host: str = Field("127.0.0.1", description="Address to serve metrics on.")
    metrics_port: int = Field(9090, ge=0, le=_MAX_PORT, description="Port to serve metrics on; 0 takes any free one.")
    operator_page: bool = Field(
        True, description="Whether the metrics' port also shows a page for people, with the newest flagged requests."
    )
    reflection: bool = Field(True, description="Whether clients may list the services and messages (gRPC reflection).")
    tls_certificate: Path | None = Field(None, description="Certificate chain (PEM) to answer gRPC with TLS.")
    tls_key: Path | None = Field(None, description="Private key (PEM) that goes with `tls_certificate`.")
    tls_client_ca: Path | None = Field(
        None, description="Certificates (PEM) of who signs clients' certificates; set, clients must have one."
    )
    auth_tokens: Path | None = Field(
        None, description="File of callers' names and hashed tokens (`isthmus token`); set, calls need a token."
    )
    quota_images_per_minute: int = Field(
        0,
        ge=0,
        description="Images per minute each caller may ask about: each token's name, or else each connection; 0"
        " sets no quota. At least `max_images`.",
    )
    engine: EngineChoice = Field(
        EngineChoice.AUTO,
        description="What runs the guard: `fused` (one graph), `reference` (plain, slower), or `auto`: the first where"
        " it can.",
    )
    policy: Policy = Field(
        Policy.ANNOTATE,
        description="`annotate`: callers get the predictions of all images; `withhold`: of flagged ones they get the"
        " verdict alone, as an error.",
    )
    withhold_from: WithholdFrom = Field(
        WithholdFrom.ADVERSARIAL,
        description="The mildest verdict whose predictions `withhold` withholds: `suspect` or `adversarial`.",
    )
    suspect_rate: float | None = Field(
        None,
        gt=0,
        le=_MAX_RATE,
        description="p-values at or below this are at least SUSPECT: the false-positive rate; unset: the bundle's own.",
    )
    adversarial_rate: float | None = Field(
        None, gt=0, le=_MAX_RATE, description="p-values at or below this are ADVERSARIAL; unset: the bundle's own."
    )
    canary_interval: float = Field(
        60.0,
        ge=0,
        le=86400,
        description="Seconds between two checks, one stored image each, that the running classifier still is the"
        " calibrated one; 0 checks at every load alone.",
    )
    canary_tolerance: float = Field(
        1.0,
        gt=0,
        le=1_000_000,
        description="How many times as far from its stored answer as the bundle allows a canary's may be: more where"
        " another kind of processor rounds otherwise, less where a remote classifier's is known.",
    )
    drift_window_images: int = Field(
        2000, ge=LEAST_P_VALUES, le=1_000_000, description="Newest p-values that the drift metric looks at."
    )
    latency_objective: float = Field(
        0.25, gt=0, le=3600, description="Seconds a call should take at most; an edge of the latency histogram."
    )
    threads: int | None = Field(None, ge=1, description="Threads of the engine; unset: as many as it finds right.")
    decode_threads: int = Field(2, ge=1, le=256, description="Threads that decode and check images.")
    audit_log: Path | None = Field(
        None, description="File that gets a line of JSON for every flagged image; unset: none is written."
    )
    audit_max_bytes: int = Field(
        64 * _MEBI, ge=4096, description="Bytes the audit log may have before it is set aside as `.1`, `.2`, ..."
    )
    audit_files: int = Field(
        10, ge=1, le=1000, description="Files of the audit log that are kept, the newest one included."
    )
    quarantine: Path | None = Field(
        None, description="Folder that gets every flagged image itself, as it was sent; needs `audit_log`; unset: none."
    )
    quarantine_max_bytes: int = Field(
        1024 * _MEBI, ge=1, description="Bytes the quarantine may have; the oldest images make room for new ones."
    )
    model_name: str = Field(
        "isthmus", min_length=1, max_length=128, description="Name of the model in the Open Inference Protocol."
    )
    classifier_model: str = Field(
        "",
        max_length=128,
        description="Name under which the Open Inference Protocol also offers the classifier alone, unguarded, for one"
        " forward per image; empty: it does not.",
    )
    stream_requests: int = Field(
        8, ge=1, le=1024, description="Requests of one stream worked on at once; further ones wait at the caller."
    )
    max_images: int = Field(256, ge=1, description="Images one request may hold.")
    max_image_bytes: int = Field(DEFAULT_LIMITS.max_bytes, ge=1, description="Bytes one encoded image may have.")
    max_image_pixels: int = Field(
        DEFAULT_LIMITS.max_pixels,
        ge=1,
        description="Pixels (width times height) one encoded image may have; decoding takes up to 20 bytes for each.",
    )
    max_message_bytes: int = Field(
        64 * _MEBI, ge=1024, lt=1 << 31, description="Bytes one request may have, all images together."
    )
    max_queue_images: int = Field(
        1024,
        ge=1,
        description="Images in the service at once, from admission to answer; a request that would pass this is refused"
        " as overloaded. At least `max_images`.",
    )
    max_queue_seconds: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="Seconds that an urgent request may have to wait for the images ahead of it, at the engine's recent"
        " rate; one that would wait longer is refused as overloaded. 0 sets no such limit.",
    )
    max_batch_images: int = Field(64, ge=1, description="Images the engine is given at once.")
    inline_seconds: float = Field(
        0.03,
        ge=0,
        le=1,
        description="Seconds for which the service may be deaf to others, where requests come one by one: most of those"
        " that take no longer, at the engine's recent rate, are spared two changes of threads. 0 spares none.",
    )
    watch_interval: float = Field(
        0.0,
        ge=0,
        le=86400,
        description="Seconds between looks at the bundle's folder, to load it again when it has changed; 0 does not"
        " look (SIGHUP loads it again in any case).",
    )
    max_connection_age: float = Field(
        300.0,
        ge=0,
        le=86400,
        description="Seconds after which a client is asked to connect anew, so that clients which balance by themselves"
        " find new replicas; calls under way are finished. 0 never asks.",
    )
    drain_delay: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="Seconds between reporting NOT_SERVING and refusing requests, when stopping: the time load"
        " balancers need to look elsewhere.",
    )
    grace: float = Field(30.0, ge=0, le=3600, description="Seconds that requests in flight get to finish in.")
    tracing: bool = Field(
        False,
        description="Whether to send OpenTelemetry traces; `OTEL_*` variables say where to. Needs `isthmus[tracing]`.",
    )
    log_level: LogLevel = Field(LogLevel.INFO, description="Least level that is logged.")
    log_format: LogFormat = Field(LogFormat.JSON, description="`json` for machines, `console` for people.")

    @model_validator(mode="after")
    def _queue_holds_a_request(self) -> Self:
        if self.max_queue_images < self.max_images:
            raise ValueError(f"max_queue_images must be at least max_images ({self.max_images})")
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        return self

    @model_validator(mode="after")
    def _quarantine_has_a_log(self) -> Self:
        if self.quarantine is not None and self.audit_log is None:
            raise ValueError("quarantine needs audit_log, which says what its files are")
        return self

    @model_validator(mode="after")
    def _guard_has_no_way_round(self) -> Self:
        if self.classifier_model and self.policy is Policy.WITHHOLD:
            raise ValueError("classifier_model would give the predictions that policy withholds")
        if self.classifier_model == self.model_name:
            raise ValueError("classifier_model and model_name must differ")
        return self

    @model_validator(mode="after")
    def _quota_holds_a_request(self) -> Self:
        if 0 < self.quota_images_per_minute < self.max_images:
            raise ValueError(f"quota_images_per_minute must be 0 or at least max_images ({self.max_images})")
        return self


def load_settings(config: Path | None = None, **flags: Any) -> ServiceSettings:
    """Read the settings.

    Args:
        config: A TOML file with settings at its top level; unset: the one ``ISTHMUS_CONFIG`` names, if any.
        flags: Settings by name; None means not given.

    Raises:
        SettingsError: The file can't be read, or a setting is unknown, missing or out of range; names all of them.
    """
    file = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    given = {name: value for name, value in flags.items() if value is not None}
    with _clear_errors():
        return _settings_with(_read(file))(**given)


def load_upstream_settings() -> UpstreamSettings:
    """Read the settings of a remote classifier, for commands that are no server: from the environment alone.

    Raises:
        SettingsError: One is out of range; names all of them.
    """
    with _clear_errors():
        return UpstreamSettings()


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(problem) for problem in error.errors())) from error
    except SourceError as error:
        raise SettingsError(f"environment: {error}") from error


def _read(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {file}: {error}") from error


def _settings_with(fallback: dict[str, Any]) -> type[ServiceSettings]:
    class WithFile(ServiceSettings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            return init_settings, env_settings, InitSettingsSource(settings_cls, fallback)

    return WithFile


def _sentence(problem: ErrorDetails) -> str:
    name = ".".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "extra_forbidden":
            return f"{name}: no setting has this name; docs/settings.md lists them"
        case "missing":
            return f"{name}: must be set, by flag, {ENV_PREFIX}{name.upper()} or settings file"
        case _:
            found = "" if not name else f", not {problem['input']!r}"
            return ": ".join(part for part in (name, f"{problem['msg']}{found}") if part)
