from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from detector.evaluation.report import render_report

if TYPE_CHECKING:
    from detector.evaluation.results import EvaluationResults, ScorerResult
    from tests.support.pages import Page

HEADINGS = [
    "Headline figures",
    "Verdicts",
    "Attacks",
    "ROC curves",
    "Scores and p-values",
    "What every channel adds",
    "Peers, and quality against cost",
    "Classes",
    "False alarms by difficulty",
    "Controls: images nobody attacked",
    "Attackers who know the guard",
    "Half-radius check",
    "Self-checks",
    "Examples",
    "What the guard does not do",
    "How this was measured",
    "Glossary",
]
MOST_BYTES = 3_000_000


def test_sections_stand_in_order(report: str) -> None:
    assert re.findall("<h2>(.*?)</h2>", report) == HEADINGS


def test_it_needs_nothing_but_itself(report: str, page: Page) -> None:
    assert not {"script", "link", "iframe", "object", "base"} & set(page.tags)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert not re.search(r"https?:|@import|url\((?!#)", report)
    assert len(report.encode()) < MOST_BYTES


def test_ids_are_unique_and_every_reference_has_its_target(report: str, page: Page) -> None:
    assert set(page.ids.values()) == {1}
    wanted = [link[1:] for link in page.links if link.startswith("#")] + re.findall(r"url\(#([^)]+)\)", report)
    assert len(wanted) > len(HEADINGS)
    assert set(wanted) <= set(page.ids)


def test_every_colour_is_one_of_the_page(report: str) -> None:
    style, _, body = report.partition("</style>")
    used = set(re.findall(r"var\(--([\w-]+)\)", report))
    assert used - {"shade"} <= set(re.findall(r"--([\w-]+):", style))
    assert not re.search(r"#0[12]0[12]\w\w", body)
    light, dark = (set(re.findall(r"--([\w-]+):", part)) for part in style.split("@media screen", 1))
    assert light == dark


def test_pictures_say_what_they_show(page: Page) -> None:
    assert page.tags.count("svg") == 8 + 4
    assert page.tags.count("figcaption") == page.tags.count("svg")
    spoken = [value for name, value in page.attributes if name in {"alt", "aria-label"}]
    assert len(spoken) == page.tags.count("svg") + page.tags.count("img") + 1  # the contents'
    assert all(spoken)


def test_the_summary_holds_the_headline_numbers(page: Page, results: EvaluationResults) -> None:
    text = next(text for text in page.text if text.startswith("Shown an attacked"))
    included = [one.included.auroc.value for one in results.attacks]
    left_out = [one.left_out.auroc.value for one in results.attacks if one.left_out is not None]
    flagged = np.mean(np.array(results.benign_p_values) <= results.suspect_rate)
    caught = np.mean([one.included.tpr_suspect for one in results.attacks])
    for number in (
        f"AUROC {np.mean(included):.3f}",
        f"{min(included):.1%} of the time for the attack it handles worst",
        f"mean is {np.mean(left_out):.3f} and the worst {min(left_out):.3f}",
        f"it flags {caught:.1%}",
        f"it flagged {flagged:.1%}",
        "32.4 forwards",
        "11.7 ms",
        "91.2%",
        "99.9% of images past classifier and guard at 8/255",
    ):
        assert number in text


def test_the_table_of_attacks_holds_their_numbers(page: Page, results: EvaluationResults) -> None:
    for one in results.attacks:
        row = page.row(one.name)
        assert row[:3] == [one.kin, one.knowledge, one.norm]
        assert row[3] == f"{one.successful} of {one.attacked}"
        auroc = one.included.auroc
        assert row[4] == f"{auroc.value:.3f} ({auroc.low:.3f}\N{EN DASH}{auroc.high:.3f})"
        assert row[5:7] == [f"{one.included.tpr_suspect:.1%}", f"{one.included.tpr_adversarial:.1%}"]
        assert one.left_out is not None
        assert row[7:9] == [f"{one.left_out.auroc.value:.3f}", f"{one.left_out.tpr_suspect:.1%}"]
        assert row[9] == (
            "\N{EN DASH}" if one.worst_class is None else f"{one.worst_class[0]} ({one.worst_class[1]:.1%})"
        )


def _means(one: ScorerResult) -> tuple[list[str], list[str]]:
    both = []
    for detected in (one.attacks, one.left_out or one.attacks):
        aurocs = [found.auroc.value for found in detected.values()]
        rates = [found.tpr_suspect for found in detected.values()]
        both.append([f"{np.mean(aurocs):.3f}", f"{min(aurocs):.3f}", f"{np.mean(rates):.1%}"])
    return both[0], both[1]


def test_the_tables_of_scorers_hold_their_numbers(page: Page, results: EvaluationResults) -> None:
    for one in results.channels:
        row, (included, left_out) = page.row(one.name), _means(one)
        assert row[0] == f"{one.forwards_per_image:g}"
        assert (row[2:5], row[7:10]) == (included, left_out)
    for one in results.peers:
        row, (included, left_out) = page.row(one.name + one.source), _means(one)
        assert row[:2] == ["yes" if one.needs_attacks else "no", f"{one.forwards_per_image:g}"]
        assert (row[3:6], row[6:9]) == (included, left_out)
        assert row[9].startswith(f"{one.false_positives.rate:.1%} (")


def test_gains_are_over_the_row_above_and_over_the_first(page: Page, results: EvaluationResults) -> None:
    means = [np.mean([found.auroc.value for found in one.attacks.values()]) for one in results.channels]
    last = page.row(results.channels[-1].name)
    assert last[5:7] == [f"+{means[-1] - means[-2]:.3f}", f"+{means[-1] - means[0]:.3f}"]
    assert page.row(results.channels[0].name)[5:7] == ["\N{EN DASH}"] * 2


def test_classes_controls_curves_and_checks_hold_their_numbers(page: Page, results: EvaluationResults) -> None:
    assert page.row("truck") == ["100", "11.0% (5.6\N{EN DASH}18.8%)", "330", "66.4% (61.0\N{EN DASH}71.4%)"]
    assert page.row("airplane")[2:] == ["\N{EN DASH}"] * 2
    assert page.row("misclassified")[:4] == ["500", "0.0%", "9.0% (6.6\N{EN DASH}11.9%)", "\N{CHECK MARK} kept"]
    assert page.row("another data set")[3] == "\N{MULTIPLICATION X} 6.8 times"
    for curve in results.adaptive:
        for point in curve.points:
            shown = [f"{point.fooled:.1%}", f"{point.sr5:.1%}", f"{point.sr50:.1%}"]
            assert any(row[-3:] == shown or row[-4:-1] == shown for row in page.rows)
    assert page.row("radius (Linf)") == ["8/255"]
    assert page.row("gradients are not zero")[0] == "\N{CHECK MARK} passed"
    assert page.row("black-box does not beat white-box")[0] == "\N{MULTIPLICATION X} failed"


def test_examples_show_their_images_as_given(page: Page, results: EvaluationResults) -> None:
    images = [link for link in page.links if link.startswith("data:image/png;base64,")]
    assert images == [f"data:image/png;base64,{one.png}" for one in results.examples]
    for link in images:
        assert Image.open(io.BytesIO(base64.b64decode(link.partition(",")[2], validate=True))).size == (32, 32)
    for one in results.examples:
        assert one.title in page.text


def test_limits_and_facts_are_listed(page: Page, results: EvaluationResults) -> None:
    assert set(results.limits) <= set(page.text)
    assert page.row("image counts") == ["train: 4000; calibration: 2000; test: 1000"]
    assert page.row("quick") == ["no"]


def test_the_same_results_give_the_same_file(small: EvaluationResults, small_report: str) -> None:
    assert render_report(small) == small_report


@pytest.mark.parametrize("field", ["attacks", "peers", "controls", "adaptive", "examples", "limits", "checks"])
def test_the_builder_leaves_nothing_out(results: EvaluationResults, field: str) -> None:
    assert getattr(results, field)
