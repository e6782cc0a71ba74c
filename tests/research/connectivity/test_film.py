"""Films: what they show is what the classifier says, and the page works in a browser without a script."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from detector.paths.bypass import BypassOptions
from detector.paths.chains import ChainOptions, connect
from detector.paths.pairing import Pairs
from detector.research.connectivity.film import FILE, FilmOptions, filmed, study, sufficient_pixels
from tests.support import browser
from tests.support.tiny import TINY_SPEC, tiny_torch
from tests.support.walking import field, points, random_pairs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from detector.research.connectivity.film_page import Film
    from detector.research.studies import Study, Workplace

OPTIONS = FilmOptions(pool=40, half=3, epsilon=0.005, attack_steps=60, bypass=BypassOptions(steps=60, stop_loss=0))


@pytest.fixture(scope="module")
def film() -> Film:
    classifier, pairs = tiny_torch(), random_pairs(3)
    how = ChainOptions(epsilon=0, points=51, bypass=BypassOptions(steps=30, learning_rate=0.01))
    chains = connect(classifier, classifier, pairs.starts, pairs.ends, pairs.classes, options=how)
    return filmed(classifier, "Noise", pairs, chains, 1, options=FilmOptions(half=4))


@pytest.fixture(scope="module")
def found(workplace: Workplace) -> Study:
    return study(workplace, OPTIONS)


def test_a_film_leads_from_end_to_end_through_b_and_through_its_bypass(film: Film) -> None:
    straight, around = film.frames
    assert len(straight) == len(around) == len(film.alphas) == 9
    for way in (straight, around):
        np.testing.assert_allclose(way[[0, -1]], [film.reel.start, film.reel.end], atol=1e-6)
    np.testing.assert_allclose(straight[4], film.reel.barrier, atol=1e-6)
    np.testing.assert_allclose(around[4], film.reel.bypass, atol=1e-6)
    # On the hyperplane across the path both ways are as far along at every frame.
    across = (film.reel.end - film.reel.start).ravel()
    np.testing.assert_allclose((around - straight).reshape(9, -1) @ across, 0, atol=1e-3)


def test_logits_and_losses_are_those_of_the_frames(film: Film) -> None:
    np.testing.assert_allclose(film.logits[1], tiny_torch().logits(film.frames[1]), atol=1e-5)
    losses = torch.nn.functional.cross_entropy(
        torch.tensor(film.logits[0]), torch.full((9,), film.label), reduction="none"
    )
    np.testing.assert_allclose(np.exp(-losses.numpy()), film.probabilities[0, :, film.label], atol=1e-5)
    assert film.curves[0].max() >= float(losses.max()) - 1e-5
    assert film.curves[1].mean() < film.curves[0].mean()


def test_the_pixels_that_suffice_are_the_fewest_of_the_most_changed() -> None:
    """Of a loss that falls with the sum of the image, the number is known."""
    rng = np.random.default_rng(0)
    change = rng.permutation(np.arange(1, 121)).reshape(12, 10) / 1000
    barrier = np.full(TINY_SPEC.shape, 0.3, np.float32)
    bypass = barrier + change.astype(np.float32)
    classifier = _Sum()
    needed = int((np.cumsum(np.sort(change, axis=None)[::-1]) * 3 <= 6).sum()) + 1
    kept = sufficient_pixels(classifier, barrier, bypass, 0, epsilon=classifier.loss_after(6.0))  # type: ignore[arg-type] # asks for logits alone
    assert kept is not None
    assert kept.sum() == needed
    assert change[kept].min() > change[~kept].max()


def test_no_pixel_or_none_that_does_is_said() -> None:
    classifier = field(lambda x: x[:, 0])
    low, lower, high = points((0.05, 0, 0), (0.02, 0, 0), (0.9, 0, 0))
    nothing = sufficient_pixels(classifier, low, lower, 0, epsilon=0.1)
    assert nothing is not None
    assert not nothing.any()
    assert sufficient_pixels(classifier, high, high, 0, epsilon=0.1) is None


def test_the_study_films_what_it_says(found: Study, workplace: Workplace) -> None:
    films = {film["title"]: film for film in found.figures["films"]}
    assert len(films) + len(found.missing) == 3
    assert "Two real images" in films
    for film in films.values():
        assert film["bypassed_height"] <= film["straight_height"] + 1e-6
        assert 0 < film["barrier_alpha"] < 1
    assert (workplace.folder / FILE).is_file()
    assert FILE in str(found.sections[0].body[0])


def test_every_picture_has_words_and_every_frame_a_button(found: Study, workplace: Workplace) -> None:
    page = (workplace.folder / FILE).read_text(encoding="utf-8")
    count = len(found.figures["films"])
    frames = 2 * OPTIONS.half + 1
    assert "<script" not in page
    assert len(re.findall('type="radio"', page)) == count * frames
    assert len(re.findall('checked=""', page)) == count
    alts = re.findall(r'<img alt="([^"]*)"', page)
    assert len(alts) == len(re.findall("<img ", page)) >= count * (4 * frames + 3)
    assert all(alts)
    targets = re.findall(r'<label for="([^"]+)"', page)
    assert len(targets) == count * frames
    assert set(targets) <= set(re.findall(r' id="([^"]+)"', page))


@pytest.fixture(scope="module")
def browse(found: Study, workplace: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    assert found.figures["films"]
    return partial(browser.browse, (workplace.folder / FILE).as_uri(), tmp_path_factory.mktemp("browser"))


def test_the_browser_mends_nothing(browse: Callable[..., str], workplace: Workplace) -> None:
    page, dom = (workplace.folder / FILE).read_text(encoding="utf-8"), browse("--dump-dom")
    for tag in ("img", "input", "label", "svg", "figure", "li"):
        assert len(re.findall(f"<{tag}[ >]", dom)) == len(re.findall(f"<{tag}[ >]", page)), tag


@pytest.mark.parametrize(("options", "dark"), [((), False), ((browser.DARK,), True)], ids=["light", "dark"])
def test_films_are_shown_on_light_and_dark_paper(
    browse: Callable[..., str], tmp_path: Path, options: tuple[str, ...], *, dark: bool
) -> None:
    shot = tmp_path / "shot.png"
    browse(*options, "--window-size=1150,1400", f"--screenshot={shot}")
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert (np.median(pixels) < 60) == dark
    coloured = np.ptp(pixels, axis=2) > 60  # the two ways, the chosen frame's bars, the map
    assert coloured.mean() > 0.005


def test_one_frame_of_each_way_is_shown_at_a_time(workplace: Workplace, found: Study, tmp_path: Path) -> None:
    """Another frame that is chosen changes the picture."""
    assert found.figures["films"]
    page = (workplace.folder / FILE).read_text(encoding="utf-8")
    shots = []
    for k in (0, OPTIONS.half):
        file = tmp_path / f"{k}.html"
        chosen = re.sub(' checked=""', "", page).replace(f'class="pick p{k}"', f'class="pick p{k}" checked=""')
        file.write_text(chosen, encoding="utf-8")
        shot = tmp_path / f"{k}.png"
        browser.browse(file.as_uri(), tmp_path / "profile", "--window-size=1150,1400", f"--screenshot={shot}")
        with Image.open(shot) as image:
            shots.append(np.asarray(image.convert("L")).astype(int))
    assert (np.abs(shots[0] - shots[1]) > 30).mean() > 0.005


class _Sum:
    """Of two classes the first is the likelier, the larger the sum of the image."""

    def logits(
        self, images: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        total = images.astype(np.float64).reshape(len(images), -1).sum(axis=1) - 0.3 * 360
        return np.stack([total, np.zeros_like(total)], axis=1).astype(np.float32)

    def loss_after(self, total: float) -> float:
        """The loss of the first class of an image whose sum has grown by so much."""
        return float(np.log1p(np.exp(-total)))


def test_pairs_of_no_way_have_no_displacement() -> None:
    classifier, pairs = tiny_torch(), random_pairs(1)
    same = Pairs(pairs.starts, pairs.starts, pairs.classes)
    how = ChainOptions(epsilon=0, points=51, bypass=BypassOptions(steps=1))
    chains = connect(classifier, classifier, same.starts, same.ends, same.classes, options=how)
    film = filmed(classifier, "One", same, chains, 0, options=FilmOptions(half=1))
    assert np.isfinite(film.reel.displacement)
