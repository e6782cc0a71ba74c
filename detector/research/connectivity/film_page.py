"""The page of films: two rows of frames that are stepped through with the arrow keys, or played, without a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.images import to_pixels, to_png
from detector.reporting import numbers
from detector.reporting.drawing import MUTED, SERIES, chart
from detector.reporting.html import element, page, picture
from detector.reporting.parts import paragraph, row_head, wide
from detector.reporting.style import STYLE
from detector.research.connectivity.film_style import film_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from detector.classifiers.base import Float32Array

_WAYS = ("straight", "around")
_BARS = 3  # classes shown of a frame
_CHART = (7.4, 2.5)  # inches
_AXES = (0.085, 0.19, 0.895, 0.74)  # of the chart: left, bottom, width, height; the style's play head follows them
_SMALL_LOSS = 0.01  # nats; below, the axis is linear
_LESS, _MORE = (0, 114, 178), (213, 94, 0)


@dataclass(frozen=True, eq=False)
class Reel:
    """A path around a barrier point, float32 (C, H, W) each, canonical.

    Args:
        start: A.
        barrier: B, on the straight path.
        bypass: B', on the hyperplane through B across the path.
        end: C.
        alpha: Where B is on the straight path, within (0, 1).
    """

    start: Float32Array
    barrier: Float32Array
    bypass: Float32Array
    end: Float32Array
    alpha: float

    @property
    def moved(self) -> Float32Array:
        """float32 (C, H, W): B' - B."""
        return self.bypass - self.barrier

    @property
    def displacement(self) -> float:
        """How long that is, in units of the straight path."""
        return float(np.linalg.norm(self.moved) / max(float(np.linalg.norm(self.end - self.start)), 1e-9))

    def straight(self, alphas: NDArray[np.float64]) -> Float32Array:
        """float32 (n, C, H, W): points of the straight path."""
        at = alphas[:, None, None, None].astype(np.float32)
        return (1 - at) * self.start + at * self.end

    def around(self, alphas: NDArray[np.float64]) -> Float32Array:
        """float32 (n, C, H, W): points of the way through B', as far along the straight path."""
        shares = np.minimum(alphas / self.alpha, (1 - alphas) / (1 - self.alpha))
        return self.straight(alphas) + shares[:, None, None, None].astype(np.float32) * self.moved


@dataclass(frozen=True, eq=False, kw_only=True)
class Film:
    """One pair, filmed.

    Args:
        title: What pair it is.
        label: The class whose loss counts.
        epsilon: Below which a loss is in the class, nats.
        reel: The path.
        alphas: float64 (F,), where frames are taken.
        frames: float32 (2, F, C, H, W), on the straight path and around.
        logits: float32 (2, F, classes), of the frames.
        curve_alphas: float64 (T,), where losses are measured.
        curves: float32 (2, T), the class's losses there, nats.
        kept: Bool (H, W), pixels whose change is enough; None where all are not.
    """

    title: str
    label: int
    epsilon: float
    reel: Reel
    alphas: NDArray[np.float64]
    frames: Float32Array
    logits: Float32Array
    curve_alphas: NDArray[np.float64]
    curves: Float32Array
    kept: NDArray[np.bool_] | None

    @property
    def probabilities(self) -> Float32Array:
        """float32 (2, F, classes)."""
        powers = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)

    @property
    def kept_share(self) -> float | None:
        """Of the pixels, those whose change is enough."""
        return None if self.kept is None else float(self.kept.mean())

    def figures(self) -> dict[str, Any]:
        """For programs."""
        return {
            "title": self.title,
            "label": self.label,
            "barrier_alpha": self.reel.alpha,
            "straight_height": float(self.curves[0].max()),
            "bypassed_height": float(self.curves[1].max()),
            "displacement": self.reel.displacement,
            "largest_pixel_change": float(np.abs(self.reel.moved).max()),
            "sufficient_pixels": None if self.kept is None else int(self.kept.sum()),
            "sufficient_share": self.kept_share,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For further analysis."""
        return {"frames": self.frames, "logits": self.logits, "alphas": self.alphas, "moved": self.reel.moved}


def summary_table(films: Sequence[Film], labels: Sequence[str]) -> Markup:
    """A line per film."""
    head = ("pair", "class", "straight", "around", "|B' - B| / |AC|", "largest change", "pixels that suffice")
    rows = [
        (
            row_head(film.title),
            labels[film.label],
            f"{film.curves[0].max():.2f}",
            f"{film.curves[1].max():.3f}",
            numbers.percent(film.reel.displacement),
            numbers.percent(float(np.abs(film.reel.moved).max())),
            numbers.percent(film.kept_share),
        )
        for film in films
    ]
    return wide(head, rows)


def film_page(films: Sequence[Film], labels: Sequence[str], epsilon: float) -> str:
    """Write the page: one HTML file that loads nothing.

    Args:
        films: At least one, of as many frames each.
        labels: Names of classes.
        epsilon: Below which a loss is in the class, nats.
    """
    lead = (
        "A straight line between two images that a classifier puts in the same class can leave that class on the way. "
        "A change that the eye hardly notices, made to the worst image of the way, brings all of it back."
    )
    how = (
        f"Each film shows both ways, from one image to the other: straight, and around. Choose a frame with the mouse, "
        f"step with the arrow keys, or let it play. An image is in the class where its loss is below {epsilon:g} nats."
    )
    return page(
        "Films of connecting paths",
        STYLE + film_style(len(films[0].alphas), _AXES),
        element("h1", "Films of connecting paths"),
        paragraph(lead, class_="lead"),
        paragraph(how),
        *(_film(f"film-{number}", film, labels) for number, film in enumerate(films)),
        element("section", element("h2", "In figures"), summary_table(films, labels)),
    )


def _film(name: str, film: Film, labels: Sequence[str]) -> Markup:
    middle = int(np.abs(film.alphas - film.reel.alpha).argmin())
    picks = [
        element(
            "input",
            type="radio",
            name=name,
            id=f"{name}-{k}",
            class_=f"pick p{k}",
            checked="" if k == middle else None,
            aria_label=f"Frame {k + 1} of {len(film.alphas)}, at {film.alphas[k]:.0%} of the way",
        )
        for k in range(len(film.alphas))
    ]
    play = element(
        "label",
        element("input", type="checkbox", class_="play"),
        element("span", "Play", class_="button"),
        class_="player",
    )
    return element(
        "section",
        element("h2", f"{film.title}: {labels[film.label]}"),
        paragraph(_story(film, labels)),
        element(
            "div",
            element("fieldset", element("legend", "Frames"), *picks, class_="picks"),
            element("div", *(_screen(film, way, labels) for way in range(2)), class_="screens"),
            _curves(name, film),
            play,
            _strip(name, film, labels),
            class_="reel",
        ),
        element("h3", "What it takes"),
        _maps(film, labels),
        id=name,
    )


def _story(film: Film, labels: Sequence[str]) -> str:
    middle = int(np.abs(film.alphas - film.reel.alpha).argmin())
    seen = film.probabilities[:, middle]
    straight, around = (int(one.argmax()) for one in seen)
    change, displacement = float(np.abs(film.reel.moved).max()), film.reel.displacement
    story = (
        f"At {film.reel.alpha:.0%} of the straight way the loss is {film.curves[0].max():.2f} nats, and the classifier "
        f"sees {labels[straight]} ({seen[0, straight]:.0%}). There no pixel is changed by more than {change:.1%} of "
        f"its range, all of them by {displacement:.1%} of the length of the way, and it sees {labels[around]} "
        f"({seen[1, around]:.0%}). "
    )
    highest = float(film.curves[1].max())
    if highest < film.epsilon:
        return story + f"On all of the way around the loss is at most {highest:.3f}."
    return story + f"On the way around the loss still reaches {highest:.2f}; one bypass is not enough."


def _screen(film: Film, way: int, labels: Sequence[str]) -> Markup:
    """The large frames of one way, of which one is shown."""
    shown = [
        element(
            "div",
            picture(_png(film.frames[way, k]), f"{_WAYS[way]}, {film.alphas[k]:.0%} of the way", class_="pixels"),
            _bars(film, way, k, labels),
            class_=f"frame k{k}",
        )
        for k in range(len(film.alphas))
    ]
    names = ("Straight", "Around the barrier")
    return element(
        "div", element("h3", names[way]), element("div", *shown, class_="stack"), class_=f"screen {_WAYS[way]}"
    )


def _bars(film: Film, way: int, k: int, labels: Sequence[str]) -> Markup:
    """The likeliest classes of a frame, its own class always among them."""
    shares = film.probabilities[way, k]
    best = [int(c) for c in np.argsort(-shares, kind="stable")[:_BARS]]
    shown = best if film.label in best else [*best[:-1], film.label]
    rows = [
        element(
            "li",
            element("span", labels[c], class_="name"),
            element("span", f"{shares[c]:.1%}", class_="share"),
            element("span", element("span", style=f"width:{100 * shares[c]:.1f}%"), class_="bar", aria_hidden="true"),
            element("span", f"logit {film.logits[way, k, c]:.1f}", class_="logit"),
            class_="own" if c == film.label else None,
        )
        for c in shown
    ]
    return element("ul", *rows, class_="bars")


def _strip(name: str, film: Film, labels: Sequence[str]) -> Markup:
    """All frames side by side, the straight way above; a click chooses one."""
    columns = []
    for k, alpha in enumerate(film.alphas):
        cells = []
        for way in range(2):
            seen = int(film.logits[way, k].argmax())
            right = film.probabilities[way, k, film.label]
            tone = "good" if seen == film.label else "bad"
            text = f"{_WAYS[way]} at {alpha:.0%}: {labels[seen]}, {labels[film.label]} {right:.1%}"
            cells += [
                picture(_png(film.frames[way, k]), text, class_="thumb"),
                element("span", labels[seen], class_=f"seen {tone}"),
                element("span", f"{right:.0%}", class_="share"),
            ]
        columns.append(element("label", *cells, for_=f"{name}-{k}", class_=f"column t{k}"))
    return element("div", element("div", *columns, class_="strip"), class_="scroll")


def _curves(name: str, film: Film) -> Markup:
    """The loss along both ways, and a play head at the frame that is shown."""

    def paint(canvas: Figure) -> None:
        canvas.set_layout_engine("none")  # the play head must know where the axes are
        axis = canvas.add_axes(_AXES)
        for way, (colour, label) in enumerate(zip((SERIES[1], SERIES[0]), ("straight", "around"), strict=True)):
            axis.plot(film.curve_alphas, film.curves[way], color=colour, label=label)
        axis.axhline(film.epsilon, color=MUTED, linestyle=":", linewidth=1)
        axis.annotate("epsilon", (1, film.epsilon), ha="right", va="bottom", fontsize=8, color=MUTED)
        axis.set_yscale("symlog", linthresh=_SMALL_LOSS)
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_xlim(0, 1)
        axis.set_xlabel("share of the way")
        axis.set_ylabel("loss (nats)")
        axis.legend(loc="upper left")

    text = (
        f"Loss along both ways: straight at most {film.curves[0].max():.2f} nats, around at most"
        f" {film.curves[1].max():.3f}."
    )
    heads = [element("span", class_=f"head h{k}", style=f"--x:{alpha:.4f}") for k, alpha in enumerate(film.alphas)]
    drawn = chart(f"{name}-curves", text, _CHART, paint)
    return element("div", drawn, element("div", *heads, class_="heads", aria_hidden="true"), class_="curves")


def _maps(film: Film, labels: Sequence[str]) -> Markup:
    """B, B', what is between them, and how little of that would do."""
    reel = film.reel
    most = float(np.abs(reel.moved).mean(axis=0).max())
    shown = [
        _card(_png(reel.barrier), "The barrier point B, the worst image of the straight way.", "B"),
        _card(_png(reel.bypass), "Moved to B', as far along the way.", "B'"),
        _card(
            _signed(reel.moved),
            f"B' - B, the mean of the colours: blue is darker, orange lighter; the fullest colour is {most:.1%} of the "
            "range of a pixel.",
            "B' - B, signed",
        ),
    ]
    if film.kept is None:
        return element("div", *shown, class_="maps")
    share, count = film.kept_share or 0.0, int(film.kept.sum())
    text = (
        "No pixel has to change: B is in the class."
        if not count
        else f"These {count} of {film.kept.size} pixels ({share:.1%}) are enough: changed as in B', they alone bring B "
        f"back to {labels[film.label]}."
    )
    shown.append(_card(_masked(reel.bypass, film.kept), text, "Pixels that suffice"))
    return element("div", *shown, class_="maps")


def _card(png: bytes, caption: str, text: str) -> Markup:
    return element("figure", picture(png, text, class_="pixels"), element("figcaption", caption), class_="card")


def _png(image: Float32Array) -> bytes:
    return to_png(to_pixels(image[None])[0])


def _signed(moved: Float32Array) -> bytes:
    """A signed map that lies on paper of any colour: hue is the sign, opacity the size."""
    mean = moved.mean(axis=0)
    size = np.abs(mean) / max(float(np.abs(mean).max()), 1e-12)
    pixels = np.where((mean < 0)[..., None], np.array(_LESS), np.array(_MORE))
    return to_png(np.concatenate([pixels, np.rint(255 * size)[..., None]], axis=-1).astype(np.uint8))


def _masked(image: Float32Array, kept: NDArray[np.bool_]) -> bytes:
    """An image of which all but some pixels are faint."""
    pixels = np.broadcast_to(to_pixels(image[None])[0], (*kept.shape, 3))
    opacity = np.where(kept, 255, 30).astype(np.uint8)
    return to_png(np.concatenate([pixels, opacity[..., None]], axis=-1))
