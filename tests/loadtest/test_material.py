from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from detector import Detector
from detector.errors import DataError, SettingsError
from loadtest.demo import demo_material
from loadtest.material import read_mix
from tests.support.commands import environment

if TYPE_CHECKING:
    from loadtest.material import Mix


@pytest.fixture(scope="module")
def mix(material: tuple[str, ...]) -> Mix:
    bundle, clean, attacked = material[1::2]
    return read_mix(Path(bundle), clean, attacked, share=0.25, limit=20)


def test_answers_are_those_of_the_bundle(mix: Mix, digits_bundle: Path) -> None:
    detector = Detector.load(digits_bundle, threads=1)
    for pool in mix.pools:
        assert len(pool) == 20
        found = detector.score(pool.pixels)
        assert [answer.verdict for answer in pool.answers] == list(found.verdicts)
        assert [answer.label for answer in pool.answers] == list(found.labels)
        np.testing.assert_allclose([answer.score for answer in pool.answers], found.scores, atol=1e-4)


def test_images_are_drawn_by_share_with_their_own_answers(mix: Mix) -> None:
    random = np.random.default_rng(0)
    clean, attacked = ({pool.pixels[row].tobytes(): pool.answers[row] for row in range(20)} for pool in mix.pools)
    drawn = mix.draw(2000, random)
    assert all(
        (clean | attacked)[image.tobytes()] == answer for image, answer in zip(drawn.pixels, drawn.answers, strict=True)
    )
    of_attacked = np.mean([image.tobytes() in attacked for image in drawn.pixels])
    assert abs(of_attacked - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 2000)
    assert len({image.tobytes() for image in drawn.pixels}) == 40


def test_the_same_seed_draws_the_same(mix: Mix) -> None:
    one, other = (mix.draw(50, np.random.default_rng(3)).pixels for _ in range(2))
    assert (one == other).all()


def test_without_attacked_images_all_are_clean(material: tuple[str, ...]) -> None:
    mix = read_mix(Path(material[1]), material[3], None, share=None, limit=5)
    assert [pool.kind for pool in mix.pools] == ["clean"]
    assert str(mix).startswith("100% clean: 5 images")


def test_a_share_of_attacked_images_needs_some(material: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="attacked images shall be 30% of the traffic"):
        read_mix(Path(material[1]), material[3], None, share=0.3, limit=5)


def test_images_that_are_not_there_are_named(material: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none: no such file"):
        read_mix(Path(material[1]), str(tmp_path / "none"), None, share=None, limit=5)


def test_preparing_loads_no_torch(material: tuple[str, ...]) -> None:
    program = (
        "import sys; from pathlib import Path; import loadtest.locustfile; from loadtest.material import read_mix\n"
        f"read_mix(Path({material[1]!r}), {material[3]!r}, {material[5]!r}, share=0.5, limit=5)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0, done.stderr


def test_what_an_earlier_run_made_is_taken(tmp_path: Path) -> None:
    """No progress is watched, because nothing is made."""
    (tmp_path / "attacked.npz").touch()
    found = demo_material(tmp_path, progress=None)  # type: ignore[arg-type] # it must not be used
    assert (found.bundle, found.clean) == (tmp_path / "bundle", tmp_path / "clean.npz")
