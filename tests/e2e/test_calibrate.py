"""`isthmus calibrate` interrupted: nothing half-written, and the next run goes on."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from detector.bundle import read_bundle
from tests.support.commands import finished, started

if TYPE_CHECKING:
    from pathlib import Path

    from detector.embedded import EmbeddedDefault


def test_ctrl_c_leaves_no_bundle_and_a_rerun_goes_on(digits: EmbeddedDefault, tmp_path: Path) -> None:
    bundle = tmp_path / "made" / "bundle"
    command = (
        "calibrate",
        *("--classifier", str(digits.classifier_file), "--gradients", str(digits.gradients_file)),
        *("--images", str(digits.images_file), "--out", str(bundle), "--prototype-steps", "60"),
        *("--scorer", "supervised", "--points", "2", "--attack-images", "25", "--threads", "1"),
    )
    running = started(*command)
    assert running.stderr
    said = ""
    for line in running.stderr:
        said += line
        if "moves too few images" in line or "images moved" in line:  # the attacks have begun: prototypes are done
            break
    running.send_signal(signal.SIGINT)
    _, rest = running.communicate(timeout=60)
    assert running.returncode == 130, said + rest
    assert "run the same command again to go on" in rest
    assert not bundle.exists()
    again = finished(*command, timeout=300)  # a minute on a machine that does nothing else
    assert again.returncode == 0, again.stderr
    assert "prototypes: found, from an earlier run" in again.stderr
    assert read_bundle(bundle).digest.startswith(again.stdout.split("digest ")[1][:16])
    assert [path.name for path in bundle.parent.iterdir()] == ["bundle"]
