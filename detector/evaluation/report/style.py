"""How the page looks: in light, in dark, narrow and on paper."""

from __future__ import annotations

from typing import Final

# Series: Okabe and Ito's colours, which the colour-blind can tell apart, a little lighter where the page is dark.
STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1d2733;--muted:#66717e;--grid:#e1e5ea;--panel:#f5f7f9;
--shade-colour:0 114 178;--good:#00684b;--bad:#a63c00;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b0528d;--c4:#3a9bd6;--c5:#c98a00;--c6:#555f6b}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e4e8ec;--muted:#98a3af;--grid:#2c343d;
--panel:#1c2229;--shade-colour:64 150 214;--good:#4cc39c;--bad:#f0935a;
--c0:#4a9fd8;--c1:#ee7d33;--c2:#2bb890;--c3:#d98cbb;--c4:#86cbf5;--c5:#e5ac32;--c6:#a7b0ba}}
*{box-sizing:border-box}
html{font-size:15px}
body{font:1rem/1.55 system-ui,sans-serif;max-width:72rem;margin:2rem auto 4rem;padding:0 1rem;color:var(--ink);
background:var(--paper)}
h1{font-size:1.7rem;line-height:1.2}
h2{font-size:1.25rem;margin:2.8rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--grid)}
h3{font-size:1.05rem;margin:1.6rem 0 .2rem}
p,li,dd{max-width:46rem}
a{color:var(--c0)}
.lead{font-size:1.08rem}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.9rem;margin:1.2rem 0}
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
th small{display:block;font-weight:400;color:var(--muted)}
.words{white-space:normal;min-width:5rem;max-width:38rem}
.shaded{background:rgb(var(--shade-colour)/var(--shade))}
.good{color:var(--good);font-weight:600;white-space:nowrap}
.bad{color:var(--bad);font-weight:600;white-space:nowrap}
.neutral{font-weight:600;white-space:nowrap}
figure{margin:1.2rem 0}
figcaption{font-size:.88rem;color:var(--muted);max-width:46rem}
svg{display:block;max-width:100%;height:auto;font-family:system-ui,sans-serif;stroke-linejoin:round}
.cards{display:grid;grid-template-columns:1fr;gap:.8rem}
.card strong{color:var(--ink)}
.card{margin:0;padding:.7rem;background:var(--panel);border-radius:6px;break-inside:avoid}
.walk{display:flex;flex-wrap:wrap;gap:1rem;align-items:center}
.pixels{width:9rem;height:auto;image-rendering:pixelated}
dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.3rem 1.2rem}
dt{font-weight:600}
dd{margin:0}
@media (max-width:40rem){svg{min-width:34rem}dl{display:block}dd{margin:0 0 .5rem}}
@media print{html{font-size:10px}body{max-width:none;margin:0;padding:0}nav{display:none}p,figcaption{max-width:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.scroll{overflow:visible}table{font-size:.75rem}td,th{padding:.1rem .3rem}
thead th,th[scope=row],th[scope=row].words,.words{min-width:0}.walk{flex-wrap:nowrap}.pixels{width:7rem}
tr,figure{break-inside:avoid}h2,h3,h3+p{break-after:avoid}thead{display:table-header-group}a{color:inherit}}
"""
