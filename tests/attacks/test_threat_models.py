from __future__ import annotations

from itertools import pairwise

import pytest

from detector.attacks.threat_models import CALIBRATION_ATTACKS, ThreatModel, cw, fgsm, pgd, pgd_l2


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (fgsm(4), "FGSM-Linf-4/255"),
        (pgd(8), "PGD-Linf-8/255"),
        (pgd(0.5), "PGD-Linf-0.5/255"),
        (pgd_l2(0.5), "PGD-L2-0.5"),
        (cw(1), "CW-L2-k1"),
    ],
)
def test_a_name_tells_algorithm_norm_and_budget(model: ThreatModel, name: str) -> None:
    assert model.name == name


def test_a_strengthened_attack_has_twice_the_budget_and_is_otherwise_the_same() -> None:
    assert pgd(2).strengthened() == pgd(4)
    assert pgd_l2(0.5, steps=7).strengthened() == pgd_l2(1, steps=7)
    assert fgsm(4).strengthened().name == "FGSM-Linf-8/255"


def test_calibration_attacks_differ() -> None:
    names = sorted(model.name for model in CALIBRATION_ATTACKS)
    assert all(first != second for first, second in pairwise(names))
