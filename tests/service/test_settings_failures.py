from __future__ import annotations

from pathlib import Path

import pytest

from detector.errors import SettingsError
from service.settings import load_settings

BUNDLE = Path("b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('bundel = "b"\nbundle = "b"', "bundel: no setting has this name"),
        ('bundle = "b"\nport = 70000', "port: Input should be less than or equal to 65535, not 70000"),
        ('bundle = "b"\nlog_format = "xml"', "log_format: Input should be 'json' or 'console', not 'xml'"),
        ('bundle = "b"\n[port]\nx = 1', "port: Input should be a valid integer"),
        ("port = 1", "bundle: must be set, by flag, ISTHMUS_BUNDLE or settings file"),
        ("port = ", "isthmus.toml: "),
        (
            'bundle = "b"\nmax_images = 99\nmax_queue_images = 98',
            r"max_queue_images must be at least max_images \(99\)",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "isthmus.toml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=message):
        load_settings(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml.*No such file"):
        load_settings(tmp_path / "none.toml", bundle=BUNDLE)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"binary\.toml"):
        load_settings(path)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISTHMUS_MAX_IMAGES", "many")
    with pytest.raises(SettingsError, match=r"max_images: .*not 'many'"):
        load_settings(bundle=BUNDLE)


def test_an_unknown_flag_is_named() -> None:
    with pytest.raises(SettingsError, match="prot: no setting"):
        load_settings(bundle=BUNDLE, prot=1)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError, match=r"port: .*; grace: "):
        load_settings(bundle=BUNDLE, port=-1, grace=-1)
