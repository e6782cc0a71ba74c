"""Studies of a table of which everything is known: what they claim of it is so, and all of it is drawn and told."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector.reporting.document import document
from detector.reporting.parts import paragraph
from detector.research.difficulty import (
    bias_study,
    components_study,
    covariance_study,
    fingerprint_study,
    reliability_study,
    variance_study,
)
from detector.research.difficulty.statistics_options import StatisticsOptions
from tests.support.difficulty import CNN, NAMES, NARROW, NOISE, WIDE, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.research.difficulty.table import ScoreTable
    from detector.research.studies import Study

OPTIONS = StatisticsOptions(bins=20).small()
TABLE = table()
STUDIES: dict[str, Callable[[ScoreTable, StatisticsOptions, str], Study]] = {
    module.NAME: module.of_table
    for module in (
        variance_study,
        covariance_study,
        components_study,
        reliability_study,
        bias_study,
        fingerprint_study,
    )
}


@pytest.fixture(scope="module")
def found() -> dict[str, Study]:
    """Every study of the table."""
    return {name: study(TABLE, OPTIONS, "8 runs each of three networks") for name, study in STUDIES.items()}


def _verdicts(study: Study) -> list[bool | None]:
    return [claim.agrees for claim in study.claims]


def test_everything_is_drawn_and_says_its_n(found: dict[str, Study]) -> None:
    page = document("Difficulty", paragraph("all of it"), [part for one in found.values() for part in one.sections])
    charts = [chart for one in found.values() for chart in one.charts.values()]
    assert page.count("<svg") == len(charts) == 1 + 6 + 2 + 1 + 2 + 1
    assert "mathdefault" not in page
    assert "nan" not in page.lower().replace("nance", "")
    drawn = [chart for one in found.values() for name, chart in one.charts.items() if name != "loadings"]
    assert all("n = 8 runs" in chart for chart in drawn)


def test_figures_are_json_and_every_claim_says_what_was_run(found: dict[str, Study]) -> None:
    for name, one in found.items():
        assert one.name == name
        assert one.figures["what"] == "8 runs each of three networks"
        json.dumps(one.figures, allow_nan=False)
        assert one.missing == ()
        assert one.claims
        for claim in one.claims:
            assert claim.run.startswith("8 runs each of three networks")
            assert claim.outcome
        for values in one.arrays.values():
            assert np.isfinite(values).all()


def test_variance_says_which_scores_are_noisy(found: dict[str, Study]) -> None:
    widths = found["variance"].figures["width of the band"]
    assert list(widths) == [NARROW, WIDE, CNN]
    assert all(one["last-conf"] < one["avg-ent"] < one["countforget"] for one in widths.values())
    assert _verdicts(found["variance"]) == [True]
    quiet = table(runs=4)
    quiet.values[:] = quiet.values[:, :1]
    assert _verdicts(variance_study.of_table(quiet, OPTIONS, "")) == [False]


def test_covariance_says_that_averaging_raises_weak_correlations_most(found: dict[str, Study]) -> None:
    maps = found["covariance"].figures["maps"][NARROW]
    assert maps["scores"] == list(NAMES)
    assert maps["half"] == 4
    assert _verdicts(found["covariance"]) == [True, True]
    between = found["covariance"].figures["between architectures"]["avg-loss"]
    assert between[0][1] > 0.9 > between[0][2]


def test_components_say_that_one_notion_is_behind_all_scores(found: dict[str, Study]) -> None:
    one = found["components"].figures["architectures"][CNN]
    assert sum(one["shares"]) == pytest.approx(1)
    assert one["shares"][0] > 0.9 > one["first, single runs"]["high"]
    assert _verdicts(found["components"]) == [True, True]
    apart = table()
    apart.values[:] = np.random.default_rng(0).normal(size=apart.values.shape)
    apart.values[:, :, 0] = -apart.values[:, :, 1]
    assert _verdicts(components_study.of_table(apart, OPTIONS, "")) == [False, False]


def test_reliability_says_how_many_runs_are_enough(found: dict[str, Study]) -> None:
    ones = found["reliability"].figures["architectures"][NARROW]
    assert ones["avg-conf"]["single"]["value"] > ones["countforget"]["single"]["value"]
    assert ones["avg-conf"]["runs needed"]["0.95"] < ones["countforget"]["runs needed"]["0.95"]
    assert len(ones["avg-conf"]["averaged"]) == 4
    assert _verdicts(found["reliability"]) == [True, True, True, True]
    assert ones["avg-conf"]["of values"]["single"]["value"] == pytest.approx(1 / (1 + NOISE[1] ** 2), abs=0.05)
    assert ones["avg-conf"]["ranks averaged"][0] == pytest.approx(ones["avg-conf"]["averaged"][0])
    assert "runs for 0.95" in str(found["reliability"].sections[0].body[-1])


def test_reliability_has_no_verdict_where_no_two_runs_can_be_averaged() -> None:
    few = reliability_study.of_table(table(runs=3), OPTIONS, "")
    assert _verdicts(few) == [None, True, None, None]


def test_bias_says_which_examples_tell_families(found: dict[str, Study]) -> None:
    pairs = found["bias"].figures["pairs"]
    assert [pair["kinship"] for pair in pairs] == ["widths", "families", "families", None, None, None]
    assert pairs[0]["ways"] == OPTIONS.permutations + 1
    shares = [pair["welch"]["avg-loss"]["discovered"] for pair in pairs]
    assert shares[0] == max(shares[3:]) == 0
    assert min(shares[1:3]) > 0.1
    assert _verdicts(found["bias"]) == [True, False, True, True]  # most examples are not made to differ
    hardest = found["bias"].arrays["joint-1"][:60]
    assert (hardest < 0.05).mean() > 0.9


def test_fingerprints_tell_families_and_not_widths(found: dict[str, Study]) -> None:
    one = found["fingerprint"].figures
    assert [pair["kinship"] for pair in one["pairs"]] == ["widths", "families", "families"]
    assert _verdicts(found["fingerprint"]) == [True, True, True]
    assert len(one["all at once"]["told"]) == 3
    chosen = set(one["pairs"][1]["examples"][:9])  # others moved a little, but steadily, to make room
    assert len(chosen & set(range(60))) >= 5


def test_two_architectures_have_no_table_of_all_at_once() -> None:
    pair = fingerprint_study.of_table(table(architectures=(NARROW, CNN)), OPTIONS, "")
    assert "all at once" not in pair.figures
    assert len(pair.sections[0].body) == 4


def test_scores_can_be_chosen_and_constant_ones_are_named_and_left_out() -> None:
    given = table(architectures=(NARROW, CNN), runs=4, examples=60, sensitive=10)
    given.values[1, 0, NAMES.index("last-conf")] = 7.0
    for name, study in STUDIES.items():
        one = study(given, OPTIONS, "")
        told = f"{CNN}: the same for all examples in some run, so left out: last-conf"
        assert one.missing == (() if name == "fingerprint" else (told,))
        json.dumps(one.figures, allow_nan=False)
    only = replace(OPTIONS, scores=("avg-loss", "avg-conf"))
    assert only.chosen(given).scores == ("avg-loss", "avg-conf")
    assert components_study.of_table(given, only, "").missing == ()


def test_small_options_are_smaller_in_all_that_takes_long() -> None:
    small, whole = StatisticsOptions().small(), StatisticsOptions()
    assert (small.draws, small.permutations) < (whole.draws, whole.permutations)
    assert small.fingerprint.splits < whole.fingerprint.splits
    assert small.to_json()["fingerprint"]["sizes"] == (1, 3, 9, 33)


def test_statistics_leave_torch_unloaded() -> None:
    modules = ", ".join(f"detector.research.difficulty.{name}_study" for name in STUDIES)
    program = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
