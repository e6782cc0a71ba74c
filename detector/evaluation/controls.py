"""Images nobody attacked, and how often the guard flags them: what its users would suffer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from detector.attacks.threat_models import Family
from detector.corruptions import CORRUPTIONS, corrupt
from detector.data.idx import read_idx_images
from detector.errors import DataError
from detector.evaluation.pair_barriers import compare_pairs
from detector.evaluation.results import Control
from detector.evaluation.unattacked import fit_to_shape, mixed_pairs
from detector.metrics import realised_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array
    from detector.evaluation.material import Material
    from detector.evaluation.pair_barriers import PairBarriers
    from detector.shards.stages import Arrays


def control_results(material: Material) -> list[Control]:
    """Every kind: images as they are, classified right and wrong; corrupted; mixed; of another data set."""
    p_values, right = material.benign.detection.p_values, material.right
    found = [
        _control(material, "classified correctly", p_values[right], 1.0),
        _control(material, "misclassified, unattacked", p_values[~right], 0.0),
    ]
    rows = slice(0, material.options.control_images)
    images, labels = material.benign.images[rows], material.labels[rows]
    for corruption in CORRUPTIONS:
        changed = _answers(material, corruption.name, partial(corrupt, corruption, images, material.options.seed))
        accuracy = float((changed["predicted"] == labels).mean())
        found.append(_control(material, corruption.name, changed["p_values"], accuracy))
    found.append(_mixed(material, images, labels))
    found.append(_other(material))
    return [control for control in found if control is not None]


def barrier_results(material: Material) -> tuple[PairBarriers, ...]:
    """Barriers between two real images of one class and of different ones, and between real and attacked images.

    The attacks are PGD and Carlini-Wagner, the last of each in the table, and the paper's own.
    """
    rows = slice(0, material.options.control_images)
    families = {Family.PGD, Family.CW, Family.UNCONSTRAINED}
    strongest = {a.model.family: name for name, a in material.attacked.items() if a.model.family in families}
    images = {name: material.attacked[name].scored.images for name in strongest.values()}
    try:
        return compare_pairs(
            material.detector.classifier,
            material.benign.images[rows],
            material.labels[rows],
            images,
            material.options.seed,
        )
    except DataError as error:
        material.progress.note(f"no barriers between pairs: {error}")
        return ()


def _mixed(material: Material, images: Float32Array, labels: NDArray[np.int64]) -> Control | None:
    if len(np.unique(labels)) == 1:
        return None
    name = "mean of two images of different classes"
    answers = _answers(material, name, lambda: mixed_pairs(images, labels, material.options.seed))
    return _control(material, name, answers["p_values"], None)


def _other(material: Material) -> Control | None:
    """Images of another kind: nothing the classifier knows."""
    file = material.options.other_images
    if file is None:
        return None
    shape = material.detector.bundle.manifest.spec.shape
    read = read_idx_images(file, material.options.control_images)
    name = f"another data set ({file.name})"
    return _control(material, name, _answers(material, name, lambda: fit_to_shape(read, shape))["p_values"], None)


def _answers(material: Material, name: str, make: Callable[[], Float32Array]) -> Arrays:
    """What the guard says of a control's images: `p_values` and `predicted`."""

    def run() -> Arrays:
        images = make()
        with material.progress.stage(f"Control: {name}", len(images)) as advance:
            detection = material.detector.score_canonical(images)
            advance(len(images))
        return {"p_values": detection.p_values, "predicted": detection.predicted}

    arrays, _ = material.store.run(f"control {name}", run, **material.scored_by)
    return arrays


def _control(material: Material, name: str, p_values: NDArray[np.float64], accuracy: float | None) -> Control | None:
    """A row; None without images."""
    rates = material.detector.bundle.manifest.rates
    if not len(p_values):
        return None
    return Control(
        name=name,
        accuracy=accuracy,
        suspect=realised_share(p_values <= rates.suspect),
        adversarial=realised_share(p_values <= rates.adversarial),
    )
