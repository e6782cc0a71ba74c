from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from detector import Detector
from detector.images import to_canonical
from detector.paths.straight import Prototypes
from detector.pictures import PicturedImage, contact_sheet, labelled_sheet, path_profiles, score_histogram

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.embedded import EmbeddedDefault

MOST = 8_000  # pixels of a side


def _decoded(png: bytes) -> Image.Image:
    assert png.startswith(b"\x89PNG")
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


def _prototypes(classes: int, channels: int = 3) -> Prototypes:
    images = np.random.default_rng(0).random((classes, 2, channels, 8, 8), dtype=np.float32)
    return Prototypes(images, np.full((classes, 2), 1e-3, np.float32))


@pytest.fixture(scope="module")
def pictured(digits: EmbeddedDefault, digits_bundle: Path) -> list[PicturedImage]:
    detection = Detector.load(digits_bundle).score(digits.test.pixels[:3])
    images = to_canonical(digits.test.pixels[:3], (1, 8, 8))
    return [PicturedImage(f"image {i}", images[i], detection[i : i + 1]) for i in range(3)]


@pytest.fixture(params=["sheet", "captions", "histogram", "profiles"])
def draw(request: pytest.FixtureRequest, pictured: list[PicturedImage]) -> Callable[[], bytes]:
    scores = np.random.default_rng(0).lognormal(size=200).astype(np.float32)
    pictures: dict[str, Callable[[], bytes]] = {
        "sheet": lambda: contact_sheet(_prototypes(4), tuple("abcd")),
        "captions": lambda: labelled_sheet(
            _prototypes(12).images[:, 0], ["short", "$x_1$ and much too long a name"] * 6
        ),
        "histogram": lambda: score_histogram(scores, {"PGD-Linf-8/255": 3 * scores[:50]}),
        "profiles": lambda: path_profiles(pictured),
    }
    return pictures[request.param]


def test_the_same_input_gives_the_same_bytes(draw: Callable[[], bytes]) -> None:
    assert draw() == draw()


def test_a_picture_can_be_decoded_is_of_sensible_size_and_not_blank(draw: Callable[[], bytes]) -> None:
    image = _decoded(draw())
    assert min(image.size) > 200
    assert max(image.size) < MOST
    assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_ten_classes_stand_abreast_and_a_long_list_is_cut_at_fifty() -> None:
    sizes = {n: _decoded(contact_sheet(_prototypes(n), tuple(map(str, range(n))))).size for n in (5, 10, 20, 50, 60)}
    assert sizes[5][0] < sizes[10][0] == sizes[20][0]
    assert sizes[5][1] == sizes[10][1] < sizes[20][1] < sizes[50][1] == sizes[60][1]


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_coloured_prototypes_are_drawn_as_they_are(channels: int) -> None:
    image = np.asarray(_decoded(contact_sheet(_prototypes(2, channels), ("a", "b"))).convert("RGB")).astype(int)
    coloured = (np.ptp(image, axis=2) > 40).mean()
    assert (coloured > 0.05) == (channels == 3)


def test_other_prototypes_make_another_sheet() -> None:
    first = _prototypes(2)
    other = Prototypes(first.images[:, ::-1].copy(), first.losses)
    assert contact_sheet(first, ("a", "b")) != contact_sheet(other, ("a", "b"))


def test_every_image_has_its_row(pictured: list[PicturedImage]) -> None:
    one, three = (_decoded(path_profiles(pictured[:n])).height for n in (1, 3))
    assert three > 2 * one


@pytest.mark.parametrize(
    "scores",
    [np.zeros(5), np.full(5, 3.0), np.array([0.0, 1e6]), np.array([1e-9])],
    ids=["zero", "equal", "far", "one"],
)
def test_odd_scores_can_be_drawn(scores: np.ndarray) -> None:
    _decoded(score_histogram(scores.astype(np.float32), {}))


def test_names_that_look_like_formulas_are_drawn_as_they_are_written(pictured: list[PicturedImage]) -> None:
    sheet = contact_sheet(_prototypes(3), ("$x^{$", "$cash$", "two\nlines"))
    assert _decoded(sheet).width > 200
    _decoded(path_profiles([replace(pictured[0], title="price: $^{$")]))
