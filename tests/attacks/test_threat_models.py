from __future__ import annotations

from itertools import pairwise

import pytest

from detector.attacks.threat_models import (
    CALIBRATION_ATTACKS,
    THREAT_MODELS,
    Family,
    Kin,
    Knowledge,
    Norm,
    ThreatModel,
    cw,
    describe,
    ead,
    fgsm,
    fmn,
    one_pixel,
    patch,
    pgd,
    pgd_l2,
    spatial,
    targeted_pgd,
    unconstrained,
)

EVERY_ROW = pytest.mark.parametrize("model", THREAT_MODELS, ids=lambda model: model.name)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (fgsm(4), "FGSM-Linf-4/255"),
        (pgd(8), "PGD-Linf-8/255"),
        (pgd(0.5), "PGD-Linf-0.5/255"),
        (pgd_l2(0.5), "PGD-L2-0.5"),
        (targeted_pgd(8), "PGD-Linf-8/255-targeted"),
        (cw(1), "CW-L2-k1"),
        (ead(0.5), "EAD-L1-k0.5"),
        (fmn(), "FMN-Linf"),
        (one_pixel(), "OnePixel-L0-5px"),
        (patch(), "Patch-L0-6.25%"),
        (spatial(), "Spatial-30deg"),
        (unconstrained(), "Unconstrained-targeted"),
    ],
)
def test_a_name_tells_algorithm_norm_and_budget(model: ThreatModel, name: str) -> None:
    assert model.name == name


def test_a_strengthened_attack_has_twice_the_budget_and_is_otherwise_the_same() -> None:
    assert pgd(2).strengthened() == pgd(4)
    assert pgd_l2(0.5, steps=7).strengthened() == pgd_l2(1, steps=7)
    assert fgsm(4).strengthened().name == "FGSM-Linf-8/255"


@pytest.mark.parametrize("model", [cw(0.5), fmn(), unconstrained()], ids=lambda model: model.name)
def test_an_attack_without_a_budget_has_none_to_double(model: ThreatModel) -> None:
    assert model.strengthened() == model


def test_calibration_attacks_differ() -> None:
    names = sorted(model.name for model in CALIBRATION_ATTACKS)
    assert all(first != second for first, second in pairwise(names))


def test_the_rows_differ_and_every_family_kin_and_knowledge_is_among_them() -> None:
    assert len({model.name for model in THREAT_MODELS}) == len(THREAT_MODELS)
    assert {model.family for model in THREAT_MODELS} == set(Family)
    assert {model.kin for model in THREAT_MODELS} == set(Kin)
    assert {model.knowledge for model in THREAT_MODELS} == set(Knowledge)


@EVERY_ROW
def test_an_attack_costs_gradients_just_where_somebody_gives_them(model: ThreatModel) -> None:
    assert model.forwards >= model.steps > 0
    has_gradients = model.knowledge in {Knowledge.WHITE_BOX, Knowledge.NONE}
    assert (model.backwards >= model.steps) if has_gradients else (model.backwards == 0)


@pytest.mark.parametrize(
    ("model", "forwards", "backwards"), [(fgsm(8), 1, 1), (pgd(8), 20, 20), (cw(0.5), 120, 120), (ead(0.5), 240, 120)]
)
def test_the_cost_follows_from_the_steps(model: ThreatModel, forwards: int, backwards: int) -> None:
    assert (model.forwards, model.backwards) == (forwards, backwards)


@EVERY_ROW
def test_a_row_in_words_says_all_there_is(model: ThreatModel) -> None:
    row = describe(model)
    assert list(row) == ["name", "norm", "budget", "knowledge", "kin", "cost"]
    assert all(row.values())
    assert row["name"] == model.name
    if model.norm is Norm.LINF and model.budget is not None:
        assert row["budget"].endswith("/255")
    assert ("smallest" in row["budget"]) == (model.budget is None and model.norm is not Norm.NONE)
