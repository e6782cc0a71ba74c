from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.attacks.threat_models import fgsm, fmn, pgd
from detector.calibration.options import ScorerChoice
from detector.embedded import read_digits
from detector.errors import AnalysisError
from detector.evaluation.options import EvaluationOptions
from detector.progress import Silence
from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.permutation.merging_study import SEEDS, TUNED, MergingStudyOptions, study
from detector.research.studies import Workplace
from detector.shards.base import LocalRunner
from detector.shards.stages import StageStore
from detector.training.data import LabelledImages
from tests.support.calibrating import quick_options
from tests.support.mnist import mnist_images

if TYPE_CHECKING:
    from pathlib import Path

    from detector.research.studies import Study

PIXELS, LABELS = read_digits()
DIGITS = LabelledImages(np.ascontiguousarray(PIXELS.transpose(0, 3, 1, 2)), LABELS, 10)


GUARDS = EvaluationOptions(
    calibration=replace(
        quick_options(ScorerChoice.SUPERVISED),
        attacks=(fgsm(40), pgd(40, steps=5), fmn(steps=15)),
        attack_images=80,
        corrupted_copies=1,
    ),
    models=(fgsm(30), pgd(60, steps=5)),
    attack_images=40,
    work_per_attack=1000,
    most_images=600,
)
"""Digits need larger budgets than photographs."""


OPTIONS = MergingStudyOptions(images=DIGITS, architecture="mlp-64", networks=2, epochs=20, points=3, guards=None)


def _workplace(folder: Path) -> Workplace:
    """One without a classifier."""
    return Workplace(None, StageStore(folder / "stages", {}), LocalRunner(None), Silence(), folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Workplace]:
    """A study of two small networks of digits, without guards."""
    workplace = _workplace(tmp_path_factory.mktemp("merging"))
    return study(workplace, OPTIONS), workplace


def test_families_are_merged(done: tuple[Study, Workplace]) -> None:
    families = done[0].figures["families"]
    assert set(families) == {SEEDS, TUNED}
    json.dumps(done[0].figures, allow_nan=False)
    for name, family in families.items():
        assert min(family["accuracy"].values()) > 0.85, name
        assert family["guards"] is None


def test_networks_tuned_from_one_are_closer_than_those_of_different_seeds(done: tuple[Study, Workplace]) -> None:
    seeds, tuned = (done[0].figures["families"][name]["barriers"] for name in (SEEDS, TUNED))
    assert max(map(max, tuned["naive"]["loss"])) < max(map(max, seeds["naive"]["loss"]))
    assert max(map(max, seeds["via_reference"]["loss"])) < max(map(max, seeds["naive"]["loss"]))


def _check_claims(found: Study, of_each: int) -> None:
    families = found.figures["families"]
    assert len(found.claims) == of_each * len(families)
    for place, (name, family) in enumerate(families.items()):
        connected, accurate, *guards = found.claims[of_each * place : of_each * (place + 1)]
        assert all(name in claim.claim for claim in (connected, accurate, *guards))
        assert connected.agrees == (family["barriers"]["advice"] == "merge")
        alone = [value for key, value in family["accuracy"].items() if key.startswith("network")]
        assert accurate.agrees == (family["accuracy"]["merged"] >= np.mean(alone) - 0.01)
        for claim, other in zip(guards, ("single", "ensemble"), strict=False):
            assert claim.agrees == family["guards"]["merged less"][other]["better"]


def test_claims_say_what_the_figures_say(done: tuple[Study, Workplace]) -> None:
    _check_claims(done[0], 2)


def test_the_report_draws_the_barriers(done: tuple[Study, Workplace]) -> None:
    found, _ = done
    page = document("Merging", paragraph("all of it"), found.sections)
    assert page.count("<svg") == 1
    assert set(found.charts) == {"barriers"}
    assert "fine-tuned from one: network 1, network 2" in page
    assert set(found.arrays) == {
        f"{place}/{kind}"
        for place in ("from-different-seeds", "fine-tuned-from-one")
        for kind in ("naive", "direct", "via", "agree")
    }


def test_a_study_that_is_run_again_finds_its_networks(done: tuple[Study, Workplace]) -> None:
    found, workplace = done
    kept = {file: file.stat().st_mtime_ns for file in workplace.store.folder.iterdir()}
    again = study(workplace, OPTIONS)
    assert {file: file.stat().st_mtime_ns for file in workplace.store.folder.iterdir()} == kept
    assert again.figures == found.figures


@pytest.mark.slow  # calibrates and attacks eight guards
def test_guards_are_compared_too(done: tuple[Study, Workplace]) -> None:
    workplace = done[1]
    found = study(workplace, replace(OPTIONS, guards=GUARDS))
    _check_claims(found, 4)
    for name, family in found.figures["families"].items():
        guards = family["guards"]
        assert guards["single networks"] == 2
        assert guards["figures"]["ensemble"]["forwards"] == 2 * guards["figures"]["merged"]["forwards"]
        for file in ("network-1", "network-2", "merged", "ensemble"):
            assert (workplace.folder / "merging" / name.replace(" ", "-") / f"{file}.pt2").is_file()
    assert document("Merging", paragraph("all of it"), found.sections).count("<svg") == 2
    assert set(found.charts) == {"barriers", "guards"}


def test_options_are_told_and_shortened() -> None:
    options = MergingStudyOptions(images=DIGITS)
    json.dumps(options.to_json(), allow_nan=False)
    small = options.small()
    assert small.guards is None
    assert small.epochs < options.epochs


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"architecture": "no-such"}, "no network is called"),
        ({"networks": 1}, r"networks must lie in 2\.\.16"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"train_share": 1.0}, "train_share between 0 and 1"),
        ({"points": 1}, "points must be at least 2"),
    ],
)
def test_options_out_of_range_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(AnalysisError, match=message):
        MergingStudyOptions(images=DIGITS, **fields)  # type: ignore[arg-type] # fields of several types


@pytest.mark.slow
def test_mnist_merged_of_three_is_within_a_point_of_single_at_width_256(tmp_path: Path, shared_data: Path) -> None:
    options = MergingStudyOptions(images=LabelledImages.of(mnist_images(shared_data)), guards=None)
    found = study(_workplace(tmp_path), options)
    connected, accurate, *_ = found.claims
    assert connected.agrees
    assert accurate.agrees
    barriers = found.figures["families"][SEEDS]["barriers"]
    worst = {kind: max(map(max, barriers[kind]["error"])) for kind in ("naive", "direct", "via_reference")}
    assert worst["direct"] <= worst["via_reference"] < worst["naive"]
