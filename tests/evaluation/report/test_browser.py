"""The report in a real browser, which forgives nothing that a person would see."""

from __future__ import annotations

import html
import re
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.support import browser

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def browse(report: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Open the report from disk with some options."""
    folder = tmp_path_factory.mktemp("browser")
    file = folder / "report.html"
    file.write_text(report, encoding="utf-8")
    return partial(browser.browse, file.as_uri(), folder / "profile")


def test_the_browser_builds_every_section_and_mends_nothing(browse: Callable[..., str], report: str) -> None:
    dom = browse("--dump-dom")
    headings = re.findall("<h2>(.*?)</h2>", report)
    assert re.findall("<h2>(.*?)</h2>", dom) == headings
    for tag in ("svg", "table", "tr", "td", "figure", "img", "path", "text"):
        assert len(re.findall(f"<{tag}[ >]", dom)) == len(re.findall(f"<{tag}[ >]", report)), tag
    assert "99.9% of images past classifier and guard" in html.unescape(dom)


@pytest.mark.parametrize(("options", "dark"), [((), False), ((browser.DARK,), True)], ids=["light", "dark"])
def test_it_is_drawn_on_light_and_dark_paper(
    browse: Callable[..., str], tmp_path: Path, options: tuple[str, ...], *, dark: bool
) -> None:
    shot = tmp_path / "shot.png"
    browse(*options, "--window-size=1150,3600", f"--screenshot={shot}")
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert pixels.shape[:2] == (3600, 1150)
    assert (np.median(pixels) < 60) == dark
    for part in np.array_split(pixels, 9):  # nowhere blank
        assert len(np.unique(part @ [1 << 16, 1 << 8, 1])) > 20
    coloured = np.ptp(pixels[1500:], axis=2) > 60  # tables' shades and charts
    assert coloured.mean() > 0.01
