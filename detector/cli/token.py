"""`isthmus token`: a token for a caller of the service."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from detector.cli.errors import clear_errors


def token(
    name: Annotated[str, typer.Argument(help="Whose it is: how quotas and logs call the caller.")],
) -> None:
    """Make a token that lets a caller in, and the line that goes into the server's file of tokens.

    The line goes to standard output, to be appended to the file that `auth_tokens` names; it holds the token's SHA-256
    alone. The token itself is shown once, on standard error, and stored nowhere. A running server reads the file again
    when it changes.

    Example: isthmus token alice >> tokens
    """
    with clear_errors():
        from service.identity import new_token

        made = new_token(name)
        sys.stdout.write(f"{made.line}\n")
        sys.stderr.write(f"token of {name}: {made.token}\n")
