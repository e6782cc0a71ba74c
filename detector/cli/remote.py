"""A classifier given by its address, opened by the service's client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.classifiers.address import is_address, parse_address

if TYPE_CHECKING:
    from pathlib import Path

    from detector.classifiers.options import SpecOptions
    from detector.classifiers.remote_loading import LoadedRemote


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
