from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import typer

from detector.bundle import read_bundle
from detector.cli.values import numbers, pair, sides, whole_numbers

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault
    from tests.cli.conftest import Isthmus


def test_values_are_read() -> None:
    assert numbers("--mean", "0.485,0.456,0.406") == (0.485, 0.456, 0.406)
    assert pair("--value-range", "0,255") == (0, 255)
    assert sides("--size", "224x256") == (224, 256)
    assert whole_numbers("--widths", "8,16") == (8, 16)


def test_what_is_not_given_stays_open() -> None:
    assert numbers("--mean", None) == ()
    assert pair("--value-range", None) is None
    assert sides("--size", None) == (None, None)
    assert whole_numbers("--widths", None) == ()


@pytest.mark.parametrize("text", ["", "a,b", "1,,2"])
def test_numbers_that_are_none_are_refused_by_option(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"--mean: numbers separated by commas"):
        numbers("--mean", text)


@pytest.mark.parametrize("text", ["", "8,", "-8", "8.5", "9999999999"])
def test_whole_numbers_are_nothing_else(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"--widths: whole numbers separated by commas"):
        whole_numbers("--widths", text)


@pytest.mark.parametrize("text", ["1", "1,2,3"])
def test_a_pair_is_two(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"--value-range: two numbers"):
        pair("--value-range", text)


@pytest.mark.parametrize("text", ["224", "224,224", "-1x3", "axb", "999999x1"])
def test_sides_are_two_whole_numbers(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=r"--size: HEIGHTxWIDTH expected"):
        sides("--size", text)


def test_the_input_as_described_on_the_command_line_is_in_the_bundle(
    isthmus: Isthmus, digits: EmbeddedDefault, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    given = f"--classifier {digits.classifier_file} --images {digits.images_file} --out {out} --scorer one-class"
    described = "--size 8x8 --value-range 0,2 --mean 0.1 --std 2 --layout NCHW --channel-order GRAY"
    quick = "--points 1 --prototypes 1 --runner-ups 0 --no-blur --prototype-steps 5 --limit 300 --threads 1"
    result = isthmus("calibrate", *given.split(), *described.split(), *quick.split())
    assert result.exit_code == 0, result.output
    spec = read_bundle(out).manifest.spec
    assert (spec.height, spec.width, spec.value_range, spec.mean, spec.std) == (8, 8, (0, 2), (0.1,), (2,))
