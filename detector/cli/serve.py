"""`isthmus serve`: the server, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from detector.cli.errors import clear_errors
from detector.engine.choice import EngineChoice
from service.choices import LogFormat, LogLevel, Policy, WithholdFrom

_ACCESS = "Who may call"
_FLAGGED = "Flagged images"
_LIMITS = "Limits"
_STOPPING = "Stopping"
_LOG = "Log"


def _option(text: str, panel: str | None = None, *names: str, **settings: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, show_default=False, **settings)


def serve(  # noqa: PLR0917 - a command line is its options
    bundle: Annotated[Path | None, _option("The bundle folder to serve.")] = None,
    config: Annotated[Path | None, _option("A TOML file with settings; also ISTHMUS_CONFIG.")] = None,
    host: Annotated[str | None, _option("Address to answer gRPC on (127.0.0.1); 0.0.0.0 for all.")] = None,
    port: Annotated[int | None, _option("Port to answer gRPC on (50051); 0 takes any free one.")] = None,
    metrics_enabled: Annotated[
        bool | None, _option("Whether to serve Prometheus metrics (yes).", None, "--metrics/--no-metrics")
    ] = None,
    metrics_host: Annotated[str | None, _option("Address to serve metrics on (127.0.0.1).")] = None,
    metrics_port: Annotated[int | None, _option("Port to serve metrics on (9090); 0 takes any free one.")] = None,
    reflection: Annotated[bool | None, _option("Whether clients may list services and messages (yes).")] = None,
    engine: Annotated[EngineChoice | None, _option("What runs the guard (auto).")] = None,
    threads: Annotated[int | None, _option("Threads of the engine (as many as it finds right).")] = None,
    model_name: Annotated[str | None, _option("Name of the model in the Open Inference Protocol (isthmus).")] = None,
    watch_interval: Annotated[
        float | None, _option("Seconds between looks for a new bundle in the folder; 0 for none (0.0).")
    ] = None,
    tls_certificate: Annotated[
        Path | None, _option("Certificate chain, PEM, to answer with TLS (none).", _ACCESS)
    ] = None,
    tls_key: Annotated[Path | None, _option("Private key, PEM, that goes with it (none).", _ACCESS)] = None,
    tls_client_ca: Annotated[
        Path | None, _option("Who signs clients' certificates, PEM; set, clients must have one (none).", _ACCESS)
    ] = None,
    auth_tokens: Annotated[
        Path | None, _option("File of callers' tokens, from isthmus token; set, calls need one (none).", _ACCESS)
    ] = None,
    quota_images_per_minute: Annotated[
        int | None, _option("Images each caller may ask about in a minute; 0 for any number (0).", _ACCESS)
    ] = None,
    policy: Annotated[
        Policy | None, _option("Whether predictions of flagged images are given or withheld (annotate).", _FLAGGED)
    ] = None,
    withhold_from: Annotated[
        WithholdFrom | None, _option("The mildest verdict to withhold predictions of (adversarial).", _FLAGGED)
    ] = None,
    suspect_rate: Annotated[
        float | None, _option("False-positive rate of SUSPECT, instead of the bundle's own (none).", _FLAGGED)
    ] = None,
    adversarial_rate: Annotated[
        float | None, _option("False-positive rate of ADVERSARIAL, instead of the bundle's own (none).", _FLAGGED)
    ] = None,
    audit_log: Annotated[
        Path | None, _option("File that gets a line of JSON for every flagged image (none).", _FLAGGED)
    ] = None,
    quarantine: Annotated[
        Path | None, _option("Folder that gets the flagged images themselves (none).", _FLAGGED)
    ] = None,
    max_images: Annotated[int | None, _option("Images one request may hold (256).", _LIMITS)] = None,
    max_message_bytes: Annotated[int | None, _option("Bytes one request may have (67108864).", _LIMITS)] = None,
    max_batch_images: Annotated[int | None, _option("Images the engine is given at once (64).", _LIMITS)] = None,
    max_queue_images: Annotated[
        int | None, _option("Images in the service at once; more are refused as overloaded (1024).", _LIMITS)
    ] = None,
    max_queue_seconds: Annotated[
        float | None, _option("Seconds an urgent request may have to wait; more are refused; 0 for any (0.0).", _LIMITS)
    ] = None,
    drain_delay: Annotated[
        float | None, _option("Seconds from NOT_SERVING to refusing requests, for load balancers (5.0).", _STOPPING)
    ] = None,
    grace: Annotated[
        float | None, _option("Seconds that requests in flight get to finish in (30.0).", _STOPPING)
    ] = None,
    tracing: Annotated[
        bool | None, _option("Whether to send OpenTelemetry traces; OTEL_* variables say where to (no).", _LOG)
    ] = None,
    log_level: Annotated[LogLevel | None, _option("Least level that is logged (info).", _LOG)] = None,
    log_format: Annotated[LogFormat | None, _option("json for machines, console for people (json).", _LOG)] = None,
) -> None:
    """Serve a bundle over gRPC, with health checks, reflection and Prometheus metrics, until SIGTERM or Ctrl-C.

    A setting is taken from its flag, else from its environment variable (such as ISTHMUS_PORT), else from the settings
    file, else as shown in parentheses. docs/settings.md lists all of them.

    Example: isthmus serve --bundle bundle --host 0.0.0.0
    """
    flags = dict(locals())
    flags.pop("config")
    with clear_errors():
        import uvloop

        from service.server import serve as serve_until_stopped
        from service.settings import load_settings

        uvloop.run(serve_until_stopped(load_settings(config, **flags)))
