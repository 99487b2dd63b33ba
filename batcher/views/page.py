"""The frame of a self-contained page. Its styles are those of `look.css`, its script `report.js`.

The pages of `batcher web` have the same styles, and their report the same script.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

LOOK: Final = files("batcher.views").joinpath("look.css").read_text("utf-8")
SCRIPT: Final = files("batcher.views").joinpath("report.js").read_text("utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


# Should a name ever get past the escaping, it can do nothing: no URL, no form, and no script and no
# style but these.
POLICY: Final = (
    f"default-src 'none'; script-src {_digest(SCRIPT)}; style-src {_digest(LOOK)}; "
    "img-src data:; base-uri 'none'; form-action 'none'"
)


def page(*, title: str, heading: str, note: str, body: str) -> str:
    """Return the page; `body` is HTML, the other arguments are plain text."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{LOOK}</style></head><body class='report'>"
        f"<header><h1>{escape(heading)}</h1><p>{escape(note)}</p></header><main>{body}</main>"
        "<footer><p>Made by batcher from the ledger alone.</p></footer>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )
