"""The frame of a self-contained page, styled for light, dark and paper, wide and narrow.

It has no script.
"""

from __future__ import annotations

from html import escape
from typing import Final

# Should a name ever get past the escaping, it can do nothing: no script, no URL, no form. Bars have
# inline styles.
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)


def page(*, title: str, heading: str, note: str, body: str) -> str:
    """Return the page; `body` is HTML, the other arguments are plain text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f"<header><h1>{escape(heading)}</h1><p>{escape(note)}</p></header><main>{body}</main>"
        "<footer><p>Made by batcher from the ledger alone.</p></footer></body></html>\n"
    )


_STYLE: Final = """
:root{--paper:#fcfcfa;--ink:#1d2329;--soft:#5b6670;--line:#d9dde0;--card:#fff;--bar:#2f6f9f;--wash:#cfe0ec}
@media(prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e6e9ec;--soft:#9aa6b1;--line:#323b44;--card:#1b2127;
--bar:#6fb1de;--wash:#2b4a60}}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--card:#fff;--bar:#2f6f9f;
--wash:#cfe0ec}
details{display:none}.list .scroll{max-height:none!important}
figure,:not(.list)>.scroll>table,dl{break-inside:avoid}h2,h3,caption{break-after:avoid}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:74rem;padding:1.5rem 1rem 3rem;
background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif;print-color-adjust:exact;-webkit-print-color-adjust:exact}
header{border-bottom:2px solid var(--ink);margin-bottom:1rem}
h1{font-size:1.7rem;margin:0;overflow-wrap:anywhere}header p{margin:.2rem 0 .6rem;color:var(--soft)}
h2{font-size:1.25rem;margin:2.2rem 0 .8rem}h3{font-size:1rem;margin:0 0 .5rem}
section{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:1rem;align-items:start}
section>h2,section>.tiles,section>.wide{grid-column:1/-1;margin-bottom:0}
@media(max-width:52rem){section{grid-template-columns:minmax(0,1fr)}}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.8rem;margin:0}
.tiles div,figure,.scroll{background:var(--card);border:1px solid var(--line);border-radius:.5rem;
padding:.8rem 1rem}
dt{color:var(--soft);font-size:.9rem}dd{margin:0;font-size:1.45rem;font-variant-numeric:tabular-nums}
dd small{display:block;font-size:.85rem;color:var(--soft);min-height:1.3em}
figure{margin:0}figcaption{color:var(--soft);font-size:.9rem;margin-top:.4rem}
svg{display:block;width:100%;height:auto;font:12px system-ui,sans-serif}
svg text{fill:var(--soft)}svg .g{stroke:var(--line)}svg .b{fill:var(--bar)}
.scroll{overflow-x:auto}.list .scroll{max-height:32rem;overflow:auto}.list p{margin:.4rem 0 0}
details .scroll{border:0;padding:0;max-height:16rem;overflow:auto}
summary{cursor:pointer;color:var(--soft);font-size:.9rem;margin-top:.3rem}
summary:focus-visible{outline:2px solid var(--bar);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-size:.92rem;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding-bottom:.4rem}
th,td{text-align:right;padding:.25rem 0 .25rem .8rem;border-bottom:1px solid var(--line);
vertical-align:top}
th:first-child{text-align:left;padding-left:0;font-weight:400;overflow-wrap:anywhere}
th:has(.bar){min-width:9rem}td[colspan]{text-align:left}td{white-space:nowrap}
td.long{white-space:normal;overflow-wrap:anywhere}
thead th,thead th:first-child{color:var(--soft);font-weight:400;overflow-wrap:normal;
border-bottom-color:var(--soft)}
.bar{display:block;height:.35rem;border-radius:.2rem;background:var(--bar);min-width:1px;margin-top:.15rem}
.none{color:var(--soft)}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
"""
