from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detector.errors import CalibrationError, MissingExtraError
from detector.evaluation.peers.beyond import BeyondOwnFeatures
from detector.evaluation.peers.binary_input import BinaryInput
from detector.evaluation.peers.density import KernelDensityPeer
from detector.evaluation.peers.lid import LocalIntrinsicDimensionality
from detector.evaluation.peers.mahalanobis import Mahalanobis
from detector.evaluation.peers.registry import available_peers
from detector.evaluation.peers.squeezing import FeatureSqueezing
from detector.evaluation.peers.subset_scanning import SubsetScanning
from tests.evaluation.peers.support import constant_classifier, peer_data, points

if TYPE_CHECKING:
    from detector.classifiers.base import Float32Array
    from detector.evaluation.peers.base import Peer
    from detector.evaluation.peers.registry import PeerFactory
    from tests.evaluation.peers.conftest import Material

SUPERVISED = [make for make in available_peers() if make().needs_attacks]
TOOLBOX: list[type[Peer]] = [FeatureSqueezing, BinaryInput, SubsetScanning, BeyondOwnFeatures]
MANY: list[type[Peer]] = [Mahalanobis, LocalIntrinsicDimensionality, KernelDensityPeer, SubsetScanning]
READERS: list[type[Peer]] = [*MANY, BeyondOwnFeatures]


@pytest.mark.parametrize("make", SUPERVISED, ids=lambda make: make().name)
@pytest.mark.parametrize("names", [(), ("none succeeded",)])
def test_a_peer_without_the_attacks_it_needs_says_its_name(
    make: PeerFactory, names: tuple[str, ...], material: Material
) -> None:
    peer = make()
    attacked = dict.fromkeys(names, material.attacked[:0])
    with pytest.raises(CalibrationError, match=f"^{peer.name}: .*attacked"):
        peer.fit(replace(material.data, attacked=attacked))


@pytest.mark.parametrize("make", MANY)
def test_too_few_images_are_refused_by_name(make: type[Peer], material: Material) -> None:
    few = replace(material.data, images=material.data.images[:15], labels=material.data.labels[:15])
    with pytest.raises(CalibrationError, match=f"^{make().name}: needs at least [0-9]+ images, not 15"):
        make().fit(few)


def test_lid_is_refused_where_every_image_was_attacked() -> None:
    images = points(np.random.default_rng(0).normal(size=(100, 3)))
    with pytest.raises(CalibrationError, match=r"^lid: needs at least 20 images that were not attacked .*, not 0"):
        LocalIntrinsicDimensionality().fit(
            peer_data(constant_classifier(), images, attacked={"nudge": images + np.float32(1e-4)})
        )


@pytest.mark.parametrize("make", READERS)
def test_a_classifier_without_hidden_layers_is_refused_by_name(make: PeerFactory, material: Material) -> None:
    def nothing(images: Float32Array) -> tuple[Float32Array, ...]:
        return (np.empty((len(images), 0), np.float32),)  # what an untapped classifier gives

    with pytest.raises(CalibrationError, match=f"^{make().name}: needs hidden layers"):
        make().fit(replace(material.data, hidden=nothing))


@pytest.fixture
def no_toolbox(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = sys.modules
    for name in [name for name in modules if name == "art" or name.startswith("art.")]:
        monkeypatch.setitem(modules, name, None)
    monkeypatch.setitem(modules, "art", None)


@pytest.mark.usefixtures("no_toolbox")
@pytest.mark.parametrize("make", TOOLBOX)
def test_a_missing_toolbox_is_said_with_the_extra_that_brings_it(make: type[Peer], material: Material) -> None:
    with pytest.raises(MissingExtraError, match=rf"^{make().name} needs adversarial-.*isthmus\[attacks\]"):
        make().fit(material.data)


@pytest.mark.usefixtures("no_toolbox")
def test_without_the_toolbox_its_peers_are_left_out() -> None:
    names = {make().name for make in available_peers()}
    assert len(names) == 8
    assert names.isdisjoint(make().name for make in TOOLBOX)


@pytest.mark.parametrize("make", available_peers(), ids=lambda make: make().name)
def test_scoring_before_fitting_fails(make: PeerFactory) -> None:
    with pytest.raises(AttributeError, match="_'"):
        make().score(np.zeros((1, 1, 8, 8), np.float32))
