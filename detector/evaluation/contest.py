"""Other detectors on the same images, under the same protocol."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import IsthmusError
from detector.evaluation.peers.base import PeerData
from detector.evaluation.peers.registry import available_peers, peers_without_attacks
from detector.evaluation.protocol import BENIGN, CALIBRATION, MILLISECONDS, Graded, Judge
from detector.evaluation.results import ScorerResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detector.evaluation.material import Material
    from detector.evaluation.peers.base import Peer
    from detector.evaluation.peers.registry import PeerFactory
    from detector.shards.stages import Arrays


def peer_results(material: Material, factories: Iterable[PeerFactory] | None = None) -> list[ScorerResult]:
    """Peers, fitted on the images that fit the guard's scorer; one that can't run here is left out with a note.

    Args:
        material: The images and attacks.
        factories: What makes them; None runs all there are, those that learn from attacks only if there are any.
    """
    if factories is None:
        factories = available_peers() if material.measured.moved else peers_without_attacks()
    results = []
    for make in factories:
        peer = make()
        try:
            results.append(_result(material, peer))
        except IsthmusError as error:
            material.progress.note(f"peer left out: {peer.name}: {error}")
    return results


def _result(material: Material, peer: Peer) -> ScorerResult:
    arrays, _ = material.store.run(
        f"peer {peer.name}",
        lambda: _scores(material, peer),
        attacks=[[name, len(a.rows)] for name, a in material.attacked.items()],
        trained=[material.measured.attack_json(name) for name in material.measured.moved],
        images=material.options.peer_images,
        seed=material.options.seed,
    )
    measured, (calibration, benign, _) = material.measured, material.options.peer_images
    strata = material.strata
    judge = Judge(
        calibration=Graded.of(arrays[CALIBRATION], measured.logits[measured.split.calibration[:calibration]], strata),
        benign=Graded.of(arrays[BENIGN], material.benign.detection.logits[:benign], strata),
        rates=material.detector.bundle.manifest.rates,
        prior_strength=material.calibration.prior_strength,
        strata=strata,
    )
    attacked = {
        name: Graded.of(arrays[name], attack.scored.detection.logits[: len(arrays[name])], strata)
        for name, attack in material.attacked.items()
    }
    return ScorerResult(
        name=peer.name,
        source=peer.source,
        needs_attacks=peer.needs_attacks,
        forwards_per_image=peer.forwards_per_image,
        milliseconds_per_image=float(arrays[MILLISECONDS][0]),
        attacks=judge.judge(attacked),
        left_out={},
        false_positives=judge.false_positives(),
    )


def _scores(material: Material, peer: Peer) -> Arrays:
    """The peer's scores of all images, and its milliseconds per image on benign ones."""
    measured = material.measured
    rows = measured.split.fit
    calibration, benign, attacked = material.options.peer_images
    images = {
        CALIBRATION: measured.images_at(measured.split.calibration[:calibration]),
        BENIGN: material.benign.images[:benign],
    }
    images |= {name: attack.scored.images[:attacked] for name, attack in material.attacked.items()}
    with material.progress.stage(f"Peer: {peer.name}", sum(len(part) for part in images.values())) as advance:
        peer.fit(
            PeerData(
                classifier=material.inputs.loaded.classifier,
                gradients=material.gradients,
                hidden=material.inputs.loaded.hidden,
                images=measured.images_at(rows),
                labels=measured.truth[rows],
                attacked={name: moved.images for name, (_, moved) in measured.moved.items() if len(moved.rows)},
                seed=material.options.seed,
            )
        )
        arrays: Arrays = {}
        for name, part in images.items():
            begin = time.perf_counter()
            arrays[name] = np.asarray(peer.score(part), np.float32)
            if name == BENIGN:
                arrays[MILLISECONDS] = np.array([1000 * (time.perf_counter() - begin) / len(part)])
            advance(len(part))
    return arrays
