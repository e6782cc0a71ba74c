"""Classifiers that run elsewhere, opened by the service's client; where there are none, it is not loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.classifiers.address import is_address, parse_address

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.options import SpecOptions
    from detector.classifiers.remote_loading import LoadedRemote
    from detector.detector import Detector


def open_classifier(classifier: str, *, spec: SpecOptions, labels: Path | None) -> str | LoadedRemote:
    """What `load_inputs` takes: a connected classifier for an address, and anything else as it is.

    Args:
        classifier: As on the command line.
        spec: What the user says of its input.
        labels: Class names in output order.

    Raises:
        ClassifierError: The address is wrong, or the model behind it can't be used.
        UpstreamUnavailableError: The model can't be asked now.
        SettingsError: A setting ``ISTHMUS_UPSTREAM_*`` is wrong.
    """
    if not is_address(classifier):
        return classifier
    from detector.classifiers.remote_loading import load_remote
    from service.settings import load_upstream_settings
    from service.upstream import discover

    address, upstream = parse_address(classifier), load_upstream_settings()
    declared = discover(address, upstream.access(tls=address.tls), timeout=upstream.upstream_timeout)
    return load_remote(declared, spec_options=spec, labels_file=labels, policy=upstream.call_policy)


def load_detector(path: Path, *, threads: int | None = None) -> Detector:
    """Read, verify and start a bundle folder, wherever its classifier runs.

    Args:
        path: The folder.
        threads: CPU threads of its own classifier.

    Raises:
        BundleError: It can't be used; the message says why and names the file.
        ClassifierError, UpstreamUnavailableError, SettingsError: As for `open_classifier`.
    """
    from detector.bundle import read_bundle
    from detector.detector import Detector

    bundle = read_bundle(path)
    if bundle.manifest.remote is None:
        return Detector(bundle, threads=threads)
    from service.loading import start_detector
    from service.settings import load_upstream_settings

    return start_detector(bundle, load_upstream_settings(), threads=threads)
