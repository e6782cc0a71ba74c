"""Option values that are several numbers in one word."""

from __future__ import annotations

import re

import typer


def numbers(text: str) -> tuple[float, ...]:
    """``0.485,0.456,0.406`` as numbers."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"numbers separated by commas expected, not '{text}'") from error


def pair(text: str) -> tuple[float, float]:
    """``0,255`` as two numbers."""
    values = numbers(text)
    if len(values) != 2:  # noqa: PLR2004 - a pair
        raise typer.BadParameter(f"two numbers separated by a comma expected, not '{text}'")
    return values[0], values[1]


def sides(text: str) -> tuple[int, int]:
    """``224x256`` as height and width."""
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if match is None:
        raise typer.BadParameter(f"HEIGHTxWIDTH expected, such as 224x224, not '{text}'")
    return int(match[1]), int(match[2])
