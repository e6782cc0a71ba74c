"""What the adaptive attacks refuse, and how they say so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import onnx
import pytest

from detector.attacks.adaptive.guard import differentiable_guard
from detector.attacks.adaptive.running import ADAPTIVE_ATTACKS, attack_guard
from detector.attacks.adaptive.square import QueryAnswer, square_attack
from detector.attacks.adaptive.walking import Walker
from detector.errors import GradientsUnavailableError, InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from detector.attacks.adaptive.guard import DifferentiableGuard
    from detector.classifiers.base import Float32Array, UInt8Array
    from detector.detector import Detector

    Attacked = tuple[Float32Array, NDArray[np.int64]]

WRONG = [
    ({"budget": 0.0}, r"^budget: must lie in \(0, 1\], not 0.0$"),
    ({"budget": 1.1}, "^budget: "),
    ({"budget": float("nan")}, "^budget: "),
    ({"count": 0}, "^(steps|queries): must be at least 1, not 0$"),
    ({"labels": 3}, "^labels: one for each of 4 images expected"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_orders_that_make_no_sense(
    wrong: dict[str, float], message: str, guard: DifferentiableGuard, attacked: Attacked
) -> None:
    order = {"budget": 0.1, "count": 2, "labels": 4} | wrong
    images, labels = attacked[0][:4], attacked[1][: int(order["labels"])]
    budget, count = order["budget"], int(order["count"])
    with pytest.raises(InvalidInputError, match=message):
        attack_guard(ADAPTIVE_ATTACKS[0], guard, images, labels, budget=budget, steps=count, seed=0)

    def never(images: UInt8Array) -> QueryAnswer:
        raise AssertionError(f"asked about {len(images)} images")

    with pytest.raises(InvalidInputError, match=message):
        square_attack(never, images, labels, budget=budget, queries=count, seed=0)


def test_too_few_images_of_the_attackers_own(one_class: Detector, own_images: Float32Array) -> None:
    with pytest.raises(InvalidInputError, match="images: at least 20 benign images are needed, not 19"):
        differentiable_guard(one_class, own_images[:19])


def test_a_classifier_that_cannot_be_differentiated(one_class: Detector) -> None:
    bundle = one_class.bundle
    newer = onnx.load_from_string(bundle.graph)
    newer.opset_import[0].version = 18
    parts = replace(bundle.parts, classifier=newer.SerializeToString())
    with pytest.raises(GradientsUnavailableError, match="opset 18"):
        Walker(replace(bundle, parts=parts))
