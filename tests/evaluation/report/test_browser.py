"""The report in a real browser, which forgives nothing that a person would see."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support import browser

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def address(report: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The report on disk."""
    file = tmp_path_factory.mktemp("browser") / "report.html"
    file.write_text(report, encoding="utf-8")
    return file.as_uri()


def test_the_browser_builds_every_section_and_mends_nothing(address: str, report: str, tmp_path: Path) -> None:
    dom = browser.browse(address, tmp_path / "profile", "--dump-dom")
    headings = re.findall("<h2>(.*?)</h2>", report)
    assert re.findall("<h2>(.*?)</h2>", dom) == headings
    for tag in ("svg", "table", "tr", "td", "figure", "img", "path", "text"):
        assert len(re.findall(f"<{tag}[ >]", dom)) == len(re.findall(f"<{tag}[ >]", report)), tag
    assert "99.9% of images past classifier and guard" in html.unescape(dom)


@pytest.mark.parametrize(("options", "dark"), [((), False), ((browser.DARK,), True)], ids=["light", "dark"])
def test_it_is_drawn_on_light_and_dark_paper(
    address: str, tmp_path: Path, options: tuple[str, ...], *, dark: bool
) -> None:
    pixels = browser.drawn(address, tmp_path, *options, height=3600)
    assert pixels.shape[:2] == (3600, 1150)
    assert (np.median(pixels) < 60) == dark
    for part in np.array_split(pixels, 9):  # nowhere blank
        assert browser.colours(part) > 20
    coloured = np.ptp(pixels[1500:], axis=2) > 60  # tables' shades and charts
    assert coloured.mean() > 0.01
