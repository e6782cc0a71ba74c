from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, get_args, get_type_hints

import pytest

from detector.cli.serve import serve
from service.settings import ServiceSettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Isthmus

_SAID = {True: "yes", False: "no", None: "none"}
FLAGS = [name for name in inspect.signature(serve).parameters if name != "config"]


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_is_a_setting_and_tells_its_default(flag: str) -> None:
    default = ServiceSettings.model_fields[flag].default
    option = get_args(get_type_hints(serve, include_extras=True)[flag])[1]
    told = re.search(r"\(([^()]+)\)", option.help)
    if flag in {"bundle", "threads"}:
        assert inspect.signature(serve).parameters[flag].default is None
    else:
        assert told is not None
        assert told[1] == (_SAID[default] if default is None or isinstance(default, bool) else str(default))


def test_a_setting_out_of_range_is_one_line(isthmus: Isthmus, digits_bundle: Path) -> None:
    told = isthmus("serve", "--bundle", digits_bundle, "--port", 70000)
    assert told.exit_code == 1
    assert told.stderr.startswith("isthmus: port: ")


def test_no_bundle_names_flag_variable_and_file(isthmus: Isthmus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ISTHMUS_BUNDLE", raising=False)
    told = isthmus("serve")
    assert told.exit_code == 1
    assert "bundle: must be set, by flag, ISTHMUS_BUNDLE or settings file" in told.stderr
