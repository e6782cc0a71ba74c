"""How reports look, beyond what all pages share: narrow, and on paper."""

from __future__ import annotations

from typing import Final

from detector.reporting.page_style import BASE_STYLE

STYLE: Final = (
    BASE_STYLE
    + """
nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;font-size:.9rem;margin:1.2rem 0}
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
)
