"""How pages for people look, in light and in dark; a page adds what it alone needs."""

from __future__ import annotations

from typing import Final

# Series: Okabe and Ito's colours, which the colour-blind can tell apart, a little lighter where the page is dark.
PALETTE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2733;--muted:#66717e;--grid:#e1e5ea;--panel:#f5f7f9;
--shade-colour:0 114 178;--good:#00684b;--bad:#a63c00;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b0528d;--c4:#3a9bd6;--c5:#c98a00;--c6:#555f6b}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e4e8ec;--muted:#98a3af;--grid:#2c343d;
--panel:#1c2229;--shade-colour:64 150 214;--good:#4cc39c;--bad:#f0935a;
--c0:#4a9fd8;--c1:#ee7d33;--c2:#2bb890;--c3:#d98cbb;--c4:#86cbf5;--c5:#e5ac32;--c6:#a7b0ba}}
"""
BASE_STYLE: Final = (
    PALETTE
    + """*{box-sizing:border-box}
html{font-size:15px}
body{font:1rem/1.55 system-ui,sans-serif;max-width:72rem;margin:2rem auto 4rem;padding:0 1rem;color:var(--ink);
background:var(--paper)}
h1{font-size:1.7rem;line-height:1.2}
h2{font-size:1.25rem;margin:2.8rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--grid)}
h3{font-size:1.05rem;margin:1.6rem 0 .2rem}
p,li,dd{max-width:46rem}
a{color:var(--c0)}
.lead{font-size:1.08rem}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;font-size:.86rem;margin:.8rem 0}
td,th{padding:.28rem .6rem;border-bottom:1px solid var(--grid);text-align:right;vertical-align:top;
font-variant-numeric:tabular-nums}
td{white-space:nowrap}
th{font-weight:600}
thead th{vertical-align:bottom;color:var(--muted);line-height:1.25;min-width:4rem}
th[scope=row],thead th:first-child,.words{text-align:left}
th[scope=row]{white-space:nowrap}
th[scope=row].words{white-space:normal;min-width:9rem;max-width:16rem}
th[scope=colgroup]{text-align:center;padding-bottom:0}
"""
)
