"""Options that say which classifier, which images, and what the classifier's input looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from detector.classifiers.base import ChannelOrder, Layout
from detector.classifiers.options import SpecOptions
from detector.cli.values import numbers, pair, sides


def panelled(text: str, panel: str, *names: str, **settings: Any) -> Any:
    """An option in a panel of the help, under other names than its parameter's where any are given."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **settings)


FROM = "Classifier and data"
_INPUT = "The classifier's input (read from the graph where possible)"

ClassifierOption = Annotated[
    str, panelled("An .onnx file, a torch.export .pt2 program, or a factory module:function.", FROM)
]
_ANY_CLASSIFIER = panelled(
    "An .onnx file, a torch.export .pt2 program, a factory module:function, or a model that another server runs, "
    "grpc://host:port/model.",
    FROM,
)
AnyClassifierOption = Annotated[str, _ANY_CLASSIFIER]
OptionalClassifierOption = Annotated[str | None, _ANY_CLASSIFIER]
_IMAGES = panelled(
    "Held-out images the classifier was NOT trained on: a folder (class sub-folders, or flat with labels.csv), "
    "a zip of one, an .npz (images, labels), or torchvision:NAME?root=FOLDER.",
    FROM,
)
ImagesOption = Annotated[str, _IMAGES]
OptionalImagesOption = Annotated[str | None, _IMAGES]
GradientsOption = Annotated[
    str | None,
    panelled(
        "Where gradients come from, if not from the classifier itself: a .pt2, a factory or an .onnx of the same "
        "network. Without any, real images stand in for prototypes and no attack can be run.",
        FROM,
    ),
]
StateOption = Annotated[Path | None, panelled("Weights for a factory: .safetensors or a state dict.", FROM)]
LabelsOption = Annotated[Path | None, panelled("Class names in output order: one per line, or JSON.", FROM)]
LimitOption = Annotated[int, panelled("Most images used: a class-balanced, seeded choice.", FROM, min=1)]
LayoutOption = Annotated[Layout | None, panelled("Order of the axes.", _INPUT)]
ChannelOrderOption = Annotated[ChannelOrder | None, panelled("Order of the channels; RGB if not given.", _INPUT)]
SizeOption = Annotated[str | None, panelled("Height and width, as in 224x224.", _INPUT, metavar="HxW")]
RangeOption = Annotated[
    str | None,
    panelled("What black and white are before mean and std: 0,1 (default) or 0,255.", _INPUT, metavar="LO,HI"),
]
MeanOption = Annotated[
    str | None, panelled("Subtracted per channel, such as 0.485,0.456,0.406.", _INPUT, metavar="M,M,M")
]
StdOption = Annotated[
    str | None, panelled("Divided by per channel, such as 0.229,0.224,0.225.", _INPUT, metavar="S,S,S")
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads, of the classifier and of torch.")]


def spec_options(
    *,
    layout: Layout | None,
    channel_order: ChannelOrder | None,
    size: str | None,
    value_range: str | None,
    mean: str | None,
    std: str | None,
) -> SpecOptions:
    """What the options say of the classifier's input.

    Raises:
        typer.BadParameter: One can't be read; names it.
    """
    height, width = sides("--size", size)
    return SpecOptions(
        layout=layout,
        channel_order=channel_order,
        value_range=pair("--value-range", value_range),
        mean=numbers("--mean", mean),
        std=numbers("--std", std),
        height=height,
        width=width,
    )
