"""How films look and move: CSS alone, since pages run no script."""

from __future__ import annotations

from typing import Final

_SECONDS_PER_FRAME: Final = 0.4

_STYLE: Final = """
.reel{background:var(--panel);border-radius:10px;padding:1rem 1.1rem}
.screens{display:grid;grid-template-columns:1fr 1fr;gap:1.2rem}
.screen{border-top:3px solid var(--c1);min-width:0}
.screen.around{border-color:var(--c0)}
.screen h3{margin:.5rem 0;font-size:.95rem}
.stack{display:grid}
.frame{grid-area:1/1;visibility:hidden;display:flex;gap:1rem;align-items:center;min-width:0}
.frame .pixels{width:10.5rem;flex:none;border-radius:4px;aspect-ratio:1}
.bars{list-style:none;margin:0;padding:0;flex:1;min-width:0}
.bars li{display:grid;grid-template-columns:1fr auto;gap:0 .5rem;font-size:.82rem;margin-bottom:.55rem;line-height:1.3}
.bars .name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.share{font-variant-numeric:tabular-nums}
.bar{grid-column:1/-1;height:.5rem;border-radius:3px;background:var(--grid);overflow:hidden}
.bar span{display:block;height:100%;background:var(--muted)}
.own .bar span{background:var(--good)}
.own .name{font-weight:600;color:var(--good)}
.logit{grid-column:1/-1;color:var(--muted);font-size:.74rem}
.curves{position:relative;width:100%;max-width:44.4rem;margin:1rem auto 0}
.curves svg{width:100%!important;min-width:0}
.heads{position:absolute;pointer-events:none}
.head{position:absolute;top:0;bottom:0;width:2px;margin-left:-1px;left:calc(100%*var(--x));background:var(--ink);
visibility:hidden}
.strip{display:flex;gap:3px;padding:.3rem 2px .6rem}
.column{flex:1 0 3.4rem;display:flex;flex-direction:column;align-items:center;gap:1px;cursor:pointer;padding:3px;
border-radius:6px;font-size:.7rem;line-height:1.25;border:2px solid transparent;min-width:0}
.column:hover{background:var(--grid)}
.column .thumb{width:100%;aspect-ratio:1;image-rendering:pixelated;border-radius:3px;margin-top:.3rem}
.column .seen{max-width:100%;overflow:hidden;text-overflow:ellipsis;font-size:.66rem}
.picks{border:0;margin:0;padding:0;position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
.reel:has(.pick:focus-visible) .stack{outline:2px solid var(--c0);outline-offset:4px;border-radius:4px}
.player{display:inline-flex;cursor:pointer;margin:.8rem 0 .4rem}
.play{position:absolute;opacity:0}
.button{border:1px solid var(--muted);border-radius:999px;padding:.15rem 1rem;font-size:.88rem}
.button::before{content:"\\25B6\\FE0E\\2002"}
.play:checked+.button::before{content:"\\275A\\275A\\2002"}
.play:checked+.button{background:var(--ink);color:var(--paper)}
.play:focus-visible+.button{outline:2px solid var(--c0);outline-offset:2px}
.maps{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:1rem;margin:.8rem 0}
.maps .card{background:var(--panel)}
.maps .pixels{width:100%;border-radius:4px}
.maps figcaption{margin-top:.5rem}
.reel{position:relative}
@keyframes shown{0%{visibility:visible}FIRST%,100%{visibility:hidden}}
@media (max-width:50rem){.screens{grid-template-columns:1fr}}
@media print{.reel{padding:.4rem}.player,.picks{display:none}.screens{grid-template-columns:1fr 1fr}
.column{flex:1 1 0;font-size:.5rem;padding:0}.column .seen{font-size:.45rem}.maps{grid-template-columns:repeat(4,1fr)}
.frame .pixels{width:6rem}section{break-inside:avoid}}
"""


def film_style(frames: int, axes: tuple[float, float, float, float]) -> str:
    """The style of films.

    Args:
        frames: Of each film.
        axes: Of the chart of losses: left, bottom, width and height as shares of it.
    """
    left, bottom, width, height = axes
    seconds = frames * _SECONDS_PER_FRAME
    rules = [
        _STYLE.replace("FIRST", f"{100 / frames:.3f}"),
        f".heads{{left:{left:.1%};width:{width:.1%};top:{1 - bottom - height:.1%};height:{height:.1%}}}",
    ]
    for k in range(frames):
        chosen = f".reel:not(:has(.play:checked)):has(.p{k}:checked)"
        turn = f"shown {seconds:g}s {k * _SECONDS_PER_FRAME:g}s step-end infinite"
        rules += [
            f"{chosen} :is(.k{k},.h{k}){{visibility:visible}}",
            f"{chosen} .t{k}{{border-color:var(--c0)}}",
            f".reel:has(.play:checked) :is(.k{k},.h{k}){{animation:{turn}}}",
        ]
    return "\n".join(rules)
