"""Settings of a remote classifier: where it runs, if not where the bundle says, and how it is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path  # noqa: TC003 - pydantic reads annotations at run time
from typing import TYPE_CHECKING, Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from detector.classifiers.address import MAX_BATCH, is_address, parse_address
from detector.classifiers.breaker import BreakerPolicy
from detector.classifiers.remote_calls import CallPolicy
from detector.errors import ClassifierError, SettingsError
from service.access import Access

if TYPE_CHECKING:
    from detector.classifiers.address import RemoteModel

_USUAL: Final = CallPolicy()


class UpstreamSettings(BaseSettings):
    """All that can be set about a remote classifier; bundles with a classifier of their own have no use for it."""

    model_config = SettingsConfigDict(env_prefix="ISTHMUS_", env_ignore_empty=True, extra="ignore", frozen=True)

    upstream_target: str | None = Field(
        default=None,
        min_length=1,
        max_length=2048,
        description="Where a remote classifier runs, if not where its bundle says: `host:port`, any gRPC name, or an"
        " address such as `grpcs://host:port/model/version`.",
    )
    upstream_timeout: float = Field(
        default=_USUAL.timeout, gt=0, le=600, description="Seconds a batch may take upstream, all its tries included."
    )
    upstream_batch: int | None = Field(
        default=None,
        ge=1,
        le=MAX_BATCH,
        description="Images sent upstream at once, at most; unset: what the bundle says.",
    )
    upstream_parallel: int = Field(
        default=_USUAL.parallel, ge=1, le=256, description="Batches under way to the upstream classifier at once."
    )
    upstream_retries: int = Field(
        default=_USUAL.retries, ge=0, le=100, description="Further tries, at most, of a batch that got no answer."
    )
    upstream_check_interval: float = Field(
        default=_USUAL.check_interval,
        ge=0,
        le=86400,
        description="Seconds between looks whether the upstream classifier is still the calibrated one (a few images"
        " each); 0 looks after outages alone.",
    )
    upstream_breaker_failures: int = Field(
        default=_USUAL.breaker.failures,
        ge=1,
        le=10_000,
        description="Failures in a row after which the upstream classifier is not asked for a while.",
    )
    upstream_breaker_rest: float = Field(
        default=_USUAL.breaker.rest, gt=0, le=3600, description="Seconds until it is asked again, by one call first."
    )
    upstream_token_file: Path | None = Field(
        default=None, description="File that holds the token to send upstream; unset sends none."
    )
    upstream_tls_ca: Path | None = Field(
        default=None, description="Certificates (PEM) of who signs the upstream server's; set, TLS is spoken to it."
    )
    upstream_tls_certificate: Path | None = Field(
        default=None, description="Certificate chain (PEM) to show upstream, for mutual TLS."
    )
    upstream_tls_key: Path | None = Field(
        default=None, description="Private key (PEM) that goes with `upstream_tls_certificate`."
    )

    @property
    def call_policy(self) -> CallPolicy:
        """How it is asked."""
        return CallPolicy(
            timeout=self.upstream_timeout,
            retries=self.upstream_retries,
            parallel=self.upstream_parallel,
            check_interval=self.upstream_check_interval,
            breaker=BreakerPolicy(failures=self.upstream_breaker_failures, rest=self.upstream_breaker_rest),
        )

    def access(self, *, tls: bool) -> Access:
        """How to get in.

        Raises:
            SettingsError: A file can't be read.
        """
        return Access.read(
            token_file=self.upstream_token_file,
            tls=tls,
            ca=self.upstream_tls_ca,
            certificate=self.upstream_tls_certificate,
            key=self.upstream_tls_key,
        )

    def applied_to(self, model: RemoteModel) -> RemoteModel:
        """What a bundle says of its classifier, with what is set here instead.

        Raises:
            SettingsError: `upstream_target` is no address, or the model takes another number of images.
        """
        try:
            if self.upstream_target is not None:
                model = _moved(model, self.upstream_target)
            if self.upstream_batch is not None and self.upstream_batch != model.batch:
                if model.fixed_batch:
                    raise SettingsError(f"upstream_batch: the model takes exactly {model.batch} images at once")
                model = replace(model, batch=self.upstream_batch)
        except ClassifierError as error:
            raise SettingsError(f"upstream_target: {error}") from error
        return model


def _moved(model: RemoteModel, target: str) -> RemoteModel:
    if not is_address(target):
        return replace(model, target=target)
    address = parse_address(target)
    if address.dtype is not None or address.batch is not None:
        raise SettingsError("upstream_target: dtype is settled at calibration, and batch is set by upstream_batch")
    named = replace(model, model=address.model, version=address.version) if address.model else model
    return replace(
        named,
        target=address.target,
        tls=address.tls,
        input=address.input or model.input,
        output=address.output or model.output,
    )
