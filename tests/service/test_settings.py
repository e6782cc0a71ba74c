from __future__ import annotations

from pathlib import Path

import pytest

from detector.data.decode import DEFAULT_LIMITS
from service.settings import load_settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "isthmus.toml"
    path.write_text('bundle = "from-file"\nport = 1\nmetrics_port = 2\ngrace = 3\nreflection = false\n')
    return path


def test_flags_beat_the_environment_which_beats_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_PORT", "11")
    monkeypatch.setenv("ISTHMUS_METRICS_PORT", "12")
    found = load_settings(config, port=21)
    assert (found.port, found.metrics_port, found.grace) == (21, 12, 3.0)
    assert (found.bundle, found.reflection) == (Path("from-file"), False)


def test_the_environment_may_name_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_CONFIG", str(config))
    assert load_settings().port == 1


def test_defaults_serve_this_machine_only() -> None:
    found = load_settings(bundle=Path("b"))
    assert (found.host, found.port, found.metrics_host, found.metrics_port) == ("127.0.0.1", 50051, "127.0.0.1", 9090)
    assert (found.max_images, found.max_queue_images, found.max_batch_images) == (256, 1024, 64)
    assert (found.max_image_bytes, found.max_image_pixels) == (DEFAULT_LIMITS.max_bytes, DEFAULT_LIMITS.max_pixels)


def test_flags_that_were_not_given_and_empty_variables_count_as_unset(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ISTHMUS_THREADS", "")
    found = load_settings(config, port=None)
    assert (found.port, found.threads) == (1, None)
