"""What a server says of its detector, for people or as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from detector.cli.facts import Facts, several

if TYPE_CHECKING:
    from service.results import DetectorDescription


def print_description(server: DetectorDescription, *, as_json: bool) -> None:
    """Print a description on standard output."""
    if as_json:
        sys.stdout.write(json.dumps(asdict(server), indent=2) + "\n")
        return
    facts = Facts()
    facts.add("bundle", server.bundle_digest)
    facts.add("version", f"Isthmus {server.version}")
    facts.add("images", f"{server.height} x {server.width}, {server.channels} channel(s)")
    facts.add("classes", f"{len(server.labels)}: {several(server.labels)}")
    facts.add("paths", several(server.paths))
    facts.add("cost", f"{server.forwards_per_image} classifier forwards per image")
    facts.add("scorer", server.scorer)
    facts.add("calibration", f"{server.calibration_images} held-out images")
    if server.accuracy is not None:
        facts.add("accuracy", f"{server.accuracy:.1%}, of the classifier on the images calibrated on")
    facts.add("rates", f"SUSPECT at p <= {server.suspect_rate:g}, ADVERSARIAL at p <= {server.adversarial_rate:g}")
    facts.add(
        "accepts",
        f"{server.max_images} images or {server.max_message_bytes} bytes per request; {server.max_image_bytes} bytes "
        f"or {server.max_image_pixels} pixels per image",
    )
    facts.print()
