"""`isthmus client`: verdicts from a server."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.answering import answers_to, write_answers
from detector.cli.errors import clear_errors
from detector.cli.options import FormatOption, OutputOption
from detector.cli.rendering import OutputFormat
from detector.errors import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.cli.answers import Answer
    from detector.cli.inputs import Given, Inputs
    from service.client import Client
    from service.results import DetectorDescription

DEFAULT_TARGET = "127.0.0.1:50051"


def client(  # noqa: PLR0917 - a command line is its options
    target: Annotated[str, typer.Argument(help="The server: host:port, or any gRPC name.")] = DEFAULT_TARGET,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Image files and folders, sent as they are; zips and .npz, read here and sent as pixels.",
        ),
    ] = None,
    describe: Annotated[
        bool, typer.Option("--describe", help="Print what the server has loaded, and score nothing.")
    ] = False,
    style: FormatOption = OutputFormat.TABLE,
    output: OutputOption = None,
    timeout: Annotated[float, typer.Option(help="Seconds a single request may take.", min=0.001)] = 60.0,
    token_file: Annotated[
        Path | None, typer.Option(help="File that holds your token, where the server wants one.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Speak TLS, trusting whom this machine trusts.")] = False,
    tls_ca: Annotated[Path | None, typer.Option(help="Speak TLS, trusting these certificates (PEM).")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="Your own certificate (PEM), for mutual TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The private key (PEM) that goes with it.")] = None,
) -> None:
    """Score images on a running server; the answers look as those of `isthmus score`.

    Example: isthmus client 127.0.0.1:50051 photos/
    """
    if not inputs and not describe:
        raise typer.BadParameter(f"nothing to score: INPUT... comes after TARGET, and '{target}' was taken for it")
    with clear_errors():
        from detector.cli.describing import print_description
        from detector.cli.inputs import Inputs
        from service.access import Access
        from service.client import Client

        access = Access.read(token_file=token_file, tls=tls, ca=tls_ca, certificate=tls_certificate, key=tls_key)
        with Client(target, timeout=timeout, access=access) as connected:
            server = _reach(connected, target)
            if describe:
                print_description(server, as_json=style is OutputFormat.JSON)
            else:
                _score(connected, server, Inputs(inputs or []), style, output)


def _reach(connected: Client, target: str) -> DetectorDescription:
    try:
        return connected.describe()
    except NotReadyError as error:
        raise NotReadyError(
            f"no server is ready at {target} ({error}); start one with: isthmus serve --bundle BUNDLE"
        ) from error


def _score(
    connected: Client, server: DetectorDescription, given: Inputs, style: OutputFormat, output: Path | None
) -> None:
    from detector.data.decode import DecodeLimits

    limits = DecodeLimits(max_bytes=server.max_image_bytes, max_pixels=server.max_image_pixels)
    images = given.as_they_are((server.channels, server.height, server.width), limits=limits)
    answers = answers_to(images, _asking(connected))
    write_answers(answers, len(given), labels=server.labels, style=style, output=output)


def _asking(connected: Client) -> Callable[[list[Given]], list[Answer]]:
    from detector.cli.answers import of_server

    def ask(images: list[Given]) -> list[Answer]:
        answers = []
        # A request holds files or pixels, not both.
        for _, same in groupby(images, key=lambda image: type(image.content)):
            part = list(same)
            scored = connected.score([image.content for image in part], report_per_image=True)
            answers += [of_server(image, one) for image, one in zip(part, scored, strict=True)]
        return answers

    return ask
