"""Results that are odd or short, and names that mean harm."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from detector.evaluation.report import render_report
from detector.metrics import RealisedRate
from tests.support.pages import read_page

if TYPE_CHECKING:
    from detector.evaluation.results import EvaluationResults

NASTY = "</td></svg><script>alert(\"x\")</script><img src='http://x'> $^{$ #010101 \x00\n\u4e2d"
NOTHING = RealisedRate(0, 0, 0.0, 1.0)


def _hostile(value: Any) -> Any:
    """Every text made hostile, whatever holds it; what tells kinds of things apart stays."""
    if isinstance(value, str):
        return NASTY + value
    if isinstance(value, dict):
        return {_hostile(name): _hostile(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_hostile(inner) for inner in value)
    if hasattr(value, "__dataclass_fields__"):
        return replace(value, **{name: _hostile(getattr(value, name)) for name in value.__dataclass_fields__})
    return value


def test_whatever_names_hold_is_text(small: EvaluationResults) -> None:
    hostile = _hostile(small)
    page = read_page(render_report(hostile))
    assert "script" not in page.tags
    assert page.tags.count("img") == 1
    assert not [link for link in page.links if not link.startswith(("#", "data:image/png;base64,"))]
    assert set(page.ids.values()) == {1}
    shown = "".join(page.text)
    for one in (hostile.attacks[0], hostile.peers[0], hostile.controls[0], hostile.adaptive[0]):
        assert one.name in shown
    assert hostile.limits[0] in shown


EMPTY: Final[dict[str, Any]] = {
    "facts": {},
    "benign_scores": (),
    "benign_p_values": (),
    "attacks": (),
    "all_attacks_detected": NOTHING,
    "robust_accuracy": NOTHING,
    "channels": (),
    "peers": (),
    "controls": (),
    "classes": (),
    "adaptive": (),
    "tramer": None,
    "checks": (),
    "examples": (),
    "limits": (),
}


def test_with_nothing_found_every_section_says_so(small: EvaluationResults) -> None:
    page = read_page(render_report(replace(small, **EMPTY)))
    assert "svg" not in page.tags
    for sentence in (
        "No attack was run.",
        "There are no figures to judge.",
        "There are no attacked images to draw curves of.",
        "No benign test images were scored.",
        "The guard was not measured with less evidence.",
        "No other detector was run.",
        "Figures per class were not computed.",
        "No controls were run.",
        "No adaptive attack was run: nothing is known about them.",
        "No self-checks were made.",
        "No examples were kept.",
        "Nothing was recorded.",
    ):
        assert sentence in page.text
    assert "Half-radius check" not in page.text


@pytest.mark.parametrize("bit", range(4))
def test_any_part_may_be_missing_beside_any_other(small: EvaluationResults, bit: int) -> None:
    missing = {name: value for place, (name, value) in enumerate(EMPTY.items()) if place >> bit & 1}
    read_page(render_report(replace(small, **missing)))


@pytest.mark.parametrize("field", ["attacks", "benign_scores"])
def test_what_others_are_compared_with_may_be_missing(plain: EvaluationResults, field: str) -> None:
    page = read_page(render_report(replace(plain, **{field: EMPTY[field]})))
    assert "There are no attacked images to draw curves of." in page.text


def test_a_scorer_that_learns_from_no_attack_has_nothing_left_out(plain: EvaluationResults) -> None:
    attacks = [replace(one, left_out=None) for one in plain.attacks]
    page = read_page(render_report(replace(plain, attacks=attacks)))
    assert page.row(attacks[0].name)[7:9] == ["\N{EN DASH}"] * 2
    assert page.row("Does it catch attacks it never saw?")[0] == "it learns from none"
    assert page.row("the scorer learns from no attack")[0] == "2"


def test_an_attack_without_successes_and_curves_without_points_are_listed_only(
    plain: EvaluationResults, small: EvaluationResults
) -> None:
    attacks = [replace(one, scores=(), p_values=(), successful=0) for one in plain.attacks]
    adaptive = [replace(one, points=()) for one in small.adaptive]
    page = read_page(render_report(replace(plain, attacks=attacks, adaptive=adaptive)))
    assert page.row(attacks[0].name)[3] == "0 of 420"
    assert page.row(adaptive[0].name)[3:7] == ["\N{EN DASH}"] * 4
    assert "There are no attacked images to draw curves of." in page.text


def test_numbers_of_all_sizes_can_be_drawn(small: EvaluationResults) -> None:
    attack = replace(small.attacks[0], scores=[1e6, 1e-9, -3.0], p_values=[1e-4, 0.5, 1.0])
    example = replace(small.examples[0], losses={"blur": [0.0] * 9})
    curve = replace(small.adaptive[0], points=small.adaptive[0].points[:1])
    odd = replace(
        small,
        attacks=[attack],
        benign_scores=[0.0, 0.0],
        benign_p_values=[1.0],
        peers=[replace(small.peers[0], forwards_per_image=0.0)],
        examples=[example, replace(example, losses={})],
        adaptive=[curve],
    )
    read_page(render_report(odd))
