"""Option values that are several numbers in one word; None passes through, for options that were not given."""

from __future__ import annotations

import re

import typer


def numbers(option: str, text: str | None) -> tuple[float, ...]:
    """``0.485,0.456,0.406`` as numbers; none for None.

    Raises:
        typer.BadParameter: Names the option.
    """
    if text is None:
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{option}: numbers separated by commas expected, not '{text}'") from error


def whole_numbers(option: str, text: str | None) -> tuple[int, ...]:
    """``8,16,32`` as numbers; none for None.

    Raises:
        typer.BadParameter: Names the option.
    """
    if text is None:
        return ()
    if re.fullmatch(r"\d{1,9}(,\d{1,9})*", text) is None:
        raise typer.BadParameter(f"{option}: whole numbers separated by commas expected, not '{text}'")
    return tuple(map(int, text.split(",")))


def pair(option: str, text: str | None) -> tuple[float, float] | None:
    """``0,255`` as two numbers.

    Raises:
        typer.BadParameter: Names the option.
    """
    if text is None:
        return None
    values = numbers(option, text)
    if len(values) != 2:  # noqa: PLR2004 - a pair
        raise typer.BadParameter(f"{option}: two numbers separated by a comma expected, not '{text}'")
    return values[0], values[1]


def sides(option: str, text: str | None) -> tuple[int, int] | tuple[None, None]:
    """``224x256`` as height and width.

    Raises:
        typer.BadParameter: Names the option.
    """
    if text is None:
        return None, None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise typer.BadParameter(f"{option}: HEIGHTxWIDTH expected, such as 224x224, not '{text}'")
    return int(match[1]), int(match[2])
