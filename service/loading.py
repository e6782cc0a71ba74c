"""From a bundle folder to a detector, wherever its classifier runs: for the server and for the command line alike."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from detector import Detector, read_bundle
from detector.classifiers.remote import RemoteClassifier
from detector.engine.choice import EngineChoice
from detector.errors import FusionError
from service.upstream import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector import Bundle
    from detector.bundle import Canaries
    from detector.classifiers.address import RemoteModel
    from detector.classifiers.remote_calls import RemoteObserver
    from service.upstream_settings import UpstreamSettings


def load_detector(
    path: str | Path,
    upstream: UpstreamSettings,
    *,
    threads: int | None = None,
    engine: EngineChoice = EngineChoice.AUTO,
    observer: Callable[[], RemoteObserver] | None = None,
) -> Detector:
    """Read, verify and start a bundle folder; arguments and errors as for `start_detector`, but for the folder."""
    return start_detector(read_bundle(path), upstream, threads=threads, engine=engine, observer=observer)


def start_detector(
    bundle: Bundle,
    upstream: UpstreamSettings,
    *,
    threads: int | None = None,
    engine: EngineChoice = EngineChoice.AUTO,
    observer: Callable[[], RemoteObserver] | None = None,
    canary_tolerance: float = 1.0,
) -> Detector:
    """Start a bundle; connect to its classifier where that runs elsewhere.

    Args:
        bundle: A verified bundle.
        upstream: How to reach and ask such a classifier.
        threads: As for `Detector`.
        engine: As for `Detector`; a remote classifier has no use for the fused one.
        observer: Makes who is told of calls to such a classifier.
        canary_tolerance: As for `Detector`.

    Raises:
        BundleError: It can't be used; the message says why and names the file.
        SettingsError: A setting of `upstream` is wrong.
        UpstreamUnavailableError: The classifier can't be asked now.
        ClassifierError: The classifier answers with an error.
    """
    remote = bundle.manifest.remote
    if remote is None:
        return Detector(bundle, threads=threads, engine=engine, canary_tolerance=canary_tolerance)
    if engine is EngineChoice.FUSED:
        raise FusionError("engine: the bundle's classifier runs elsewhere, so its guard can't be one graph")
    canaries = bundle.canaries.tolerating(canary_tolerance)
    classifier = _connected(bundle, canaries, upstream.applied_to(remote), upstream, observer)
    try:
        detector = Detector(bundle, classifier=classifier, canary_tolerance=canary_tolerance)
    except BaseException:
        classifier.close()
        raise
    weakref.finalize(detector, classifier.close)  # a detector that another one has replaced is merely forgotten
    return detector


def _connected(
    bundle: Bundle,
    canaries: Canaries,
    model: RemoteModel,
    upstream: UpstreamSettings,
    observer: Callable[[], RemoteObserver] | None,
) -> RemoteClassifier:
    manifest = bundle.manifest
    endpoint = connect(model, upstream.access(tls=model.tls), timeout=upstream.upstream_timeout)
    return RemoteClassifier(
        endpoint,
        model,
        manifest.spec,
        labels=manifest.labels,
        output_kind=manifest.output_kind,
        policy=upstream.call_policy,
        canaries=canaries,
        observer=observer() if observer else None,
    )
