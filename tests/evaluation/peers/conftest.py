"""The digits classifier, attacked, for all peers alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from detector.evaluation.peers.base import Peer, PeerData
from detector.evaluation.peers.registry import available_peers
from detector.images import to_canonical
from tests.evaluation.peers.support import Counted, digits_loaded, gradient_signs
from tests.support.bundles import calibration_images, digits_torch

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.embedded import EmbeddedDefault

_FIT = 300
_ATTACKED = 150
_TEST = 120


@dataclass(frozen=True)
class Material:
    """What a peer is fitted on, and images it never saw.

    Args:
        data: To fit on; its classifier and hidden layers are those of `counted`.
        counted: Counts forwards.
        benign: Canonical.
        attacked: The same images, attacked in another way, and harder; only those whose class changed.
    """

    data: PeerData
    counted: Counted
    benign: Float32Array
    attacked: Float32Array


@pytest.fixture(scope="session")
def material(digits: EmbeddedDefault) -> Material:
    """Calibration images to fit on, some more of them attacked; test images and the same attacked."""
    gradients, counted = digits_torch(digits), Counted(digits_loaded(digits))
    images, labels = calibration_images(digits)
    rows = slice(_FIT, _FIT + _ATTACKED)
    attacked = {f"{n:g}": gradient_signs(gradients, images[rows], labels[rows], n) for n in (24, 48)}
    test = to_canonical(digits.test.pixels[:_TEST], counted.spec.shape)
    assert digits.test.labels is not None
    truth = digits.test.labels[:_TEST]
    hard = gradient_signs(gradients, test, truth, 56, steps=10)
    data = PeerData(
        classifier=counted,
        gradients=gradients,
        hidden=counted.hidden,
        images=images[:_FIT],
        labels=labels[:_FIT],
        attacked=attacked,
        seed=0,
    )
    return Material(data, counted, test, hard[counted.logits(hard).argmax(axis=1) != truth])


@pytest.fixture(scope="session")
def fitted(material: Material) -> dict[str, Peer]:
    """Every available peer by name, fitted once."""
    peers = [make() for make in available_peers()]
    for peer in peers:
        peer.fit(material.data)
    return {peer.name: peer for peer in peers}
