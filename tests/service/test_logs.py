from __future__ import annotations

import json

from tests.service.support import run_python

PROGRAM = """
import logging, warnings, structlog
from service.choices import LogFormat
from service.logs import configure_logging
configure_logging(style=LogFormat({style!r}))
structlog.get_logger("ours").info("listening", port=5)
structlog.get_logger("ours").debug("too quiet to hear")
logging.getLogger("theirs").warning("careful with %s", "this")
warnings.warn("odd")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("ours").exception("broke")
"""


def run(style: str) -> list[str]:
    done = run_python(PROGRAM.format(style=style))
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_json_logs_are_one_object_per_line_whoever_logs() -> None:
    ours, theirs, warning, broke = (json.loads(line) for line in run("json"))
    assert (ours["event"], ours["port"], ours["level"], ours["logger"]) == ("listening", 5, "info", "ours")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("careful with this", "warning", "theirs")
    assert "odd" in warning["event"]
    assert "ZeroDivisionError" in broke["exception"]
    assert ours["timestamp"].endswith("Z")


def test_console_logs_are_for_people() -> None:
    lines = run("console")
    assert "listening" in lines[0]
    assert "port=5" in lines[0]
    assert "\x1b" not in "".join(lines)  # not a terminal: no colours


LEAVING = """
import logging
from grpc._cython.cygrpc import ExecuteBatchError
from service.logs import configure_logging
configure_logging()
for error in (ExecuteBatchError("the caller left"), ValueError("a fault")):
    try:
        raise error
    except Exception:
        logging.getLogger("grpc._cython.cygrpc").exception("raised")
"""


def test_callers_who_leave_do_not_look_like_faults() -> None:
    (line,) = run_python(LEAVING).stderr.splitlines()
    assert "a fault" in json.loads(line)["exception"]
