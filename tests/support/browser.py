"""A real browser without a screen."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
DARK = "--blink-settings=preferredColorScheme=0"


def browse(address: str, profile: Path, *options: str) -> str:
    """Open a page; returns what the options ask for, and fails where the page made the browser complain.

    Skips the test, loudly, where there is no browser.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"NOT TESTED in a browser: none of {', '.join(BROWSERS)} is on PATH")
    done = subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            f"--user-data-dir={profile}",
            *options,
            address,
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    return done.stdout


def drawn(address: str, folder: Path, *options: str, height: int = 900) -> NDArray[np.int64]:
    """The top of a page as a browser draws it: int64 (height, width, 3), 0..255.

    Args:
        address: Of the page.
        folder: For the browser's own files.
        options: As for `browse`.
        height: Of the window.
    """
    shot = folder / "shot.png"
    browse(address, folder / "profile", *options, f"--window-size=1150,{height}", f"--screenshot={shot}")
    with Image.open(shot) as image:
        return np.asarray(image.convert("RGB")).astype(np.int64)


def colours(pixels: NDArray[np.int64]) -> int:
    """How many there are."""
    return len(np.unique(pixels @ [1 << 16, 1 << 8, 1]))
