"""An evaluation's report as a real browser draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.browser import DARK, colours, drawn

if TYPE_CHECKING:
    from pathlib import Path

_TALL = 6000
_STRIP = 500


@pytest.mark.parametrize(("options", "dark"), [((), False), ((DARK,), True)], ids=["light", "dark"])
def test_a_browser_draws_all_of_it(report: str, tmp_path: Path, options: tuple[str, ...], *, dark: bool) -> None:
    file = tmp_path / "report.html"
    file.write_text(report, encoding="utf-8")
    pixels = drawn(file.as_uri(), tmp_path, *options, height=_TALL)
    assert (np.median(pixels) < 60) == dark
    assert (np.ptp(pixels, axis=2) > 60).mean() > 0.01  # charts and shaded tables are coloured
    strips = [pixels[top : top + _STRIP] for top in range(0, len(pixels), _STRIP)]
    assert min(map(colours, strips)) > 20  # no part of it is left empty
