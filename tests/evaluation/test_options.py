"""What an evaluation is told: how many images an attack gets, the quick variant, and the record."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from detector.attacks.threat_models import THREAT_MODELS, cw, fgsm, hop_skip_jump, pgd
from detector.calibration.options import CalibrationOptions
from detector.evaluation.options import EvaluationOptions

if TYPE_CHECKING:
    from detector.attacks.threat_models import ThreatModel


@pytest.mark.parametrize(
    ("model", "work", "most", "expected"),
    [
        (pgd(8, steps=20), 6000, 150, 100),  # 20 forwards, 20 backwards that count as two: 60 an image
        (pgd(8, steps=20), 6059, 150, 100),  # no image for half its work
        (pgd(8, steps=20), 6060, 150, 101),
        (fgsm(8), 6000, 150, 150),  # three an image: 2,000 could be paid for
        (pgd(8, steps=20), 60, 150, 20),  # never below 20
        (pgd(8, steps=20), 6000, 20, 20),
    ],
)
def test_an_attack_gets_the_images_its_work_pays_for(model: ThreatModel, work: int, most: int, expected: int) -> None:
    assert EvaluationOptions(work_per_attack=work, attack_images=most).images_for(model) == expected


@pytest.mark.parametrize("options", [EvaluationOptions(), EvaluationOptions.quick()], ids=["full", "quick"])
@pytest.mark.parametrize("model", THREAT_MODELS, ids=lambda model: model.name)
def test_no_attack_spends_more_than_it_may(options: EvaluationOptions, model: ThreatModel) -> None:
    images = options.images_for(model)
    assert 20 <= images <= options.attack_images
    assert images == 20 or images * (model.forwards + 2 * model.backwards) <= options.work_per_attack


def test_costlier_attacks_get_no_more_images() -> None:
    given = [EvaluationOptions().images_for(pgd(8, steps=steps)) for steps in (1, 10, 50, 100, 1000)]
    assert given == sorted(given, reverse=True)
    assert given[0] > given[-1]


def test_a_quick_evaluation_is_the_full_one_with_less() -> None:
    full, quick = EvaluationOptions(), EvaluationOptions.quick()
    assert set(quick.models) < set(full.models)
    assert len({model.family for model in quick.models}) >= 3
    assert not any(model.targeted for model in quick.models)
    assert full.most_images is None
    assert quick.most_images is not None
    for name in ("attack_images", "work_per_attack", "adaptive_images", "adaptive_steps", "stand_in_images"):
        assert 0 < getattr(quick, name) < getattr(full, name)
    assert quick.calibration.attack_images < full.calibration.attack_images
    assert not quick.peers
    assert not quick.leave_out
    assert quick.adaptive_budgets == (8.0,)
    assert (quick.seed, quick.test_fraction) == (full.seed, full.test_fraction)


def test_all_that_is_quick_costs_a_fraction() -> None:
    def work(options: EvaluationOptions) -> int:
        return sum(options.images_for(m) * (m.forwards + 2 * m.backwards) for m in options.models)

    assert work(EvaluationOptions.quick()) < work(EvaluationOptions()) / 10


def test_the_record_is_json_and_names_every_field() -> None:
    options = EvaluationOptions(
        models=(cw(5), hop_skip_jump()), other_images=Path("somewhere") / "else" / "images.gz", seed=3
    )
    record = options.to_json()
    assert set(record) == {field.name for field in fields(EvaluationOptions)}
    assert record["models"] == [cw(5).name, hop_skip_jump().name]
    assert record["calibration"] == CalibrationOptions().to_json()
    assert record["other_images"] == "images.gz"  # a folder's name is nobody's business
    assert record["seed"] == 3
    read = json.loads(json.dumps(record, allow_nan=False))
    assert read["adaptive_budgets"] == list(options.adaptive_budgets)


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"peers": False}, {"models": (fgsm(8),)}, {"adaptive_budgets": (8.0,)}], ids=str
)
def test_other_options_have_another_record(changes: dict[str, Any]) -> None:
    options = EvaluationOptions()
    assert json.dumps(replace(options, **changes).to_json()) != json.dumps(options.to_json())
    assert json.dumps(EvaluationOptions().to_json()) == json.dumps(options.to_json())


@pytest.mark.parametrize("options", [EvaluationOptions(), EvaluationOptions.quick()], ids=["full", "quick"])
def test_every_budget_curve_passes_through_eight(options: EvaluationOptions) -> None:
    assert 8.0 in options.adaptive_budgets
