"""Documents as people have them, and as people send them who mean harm."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "documents"
SCHEMA: Final = Path(__file__).parents[2] / "manifests" / "invoice.schema.json"
HOSTILE: Final = """<!doctype html><title>x</title>
<h1>&lt;script&gt;alert(1)&lt;/script&gt; Offer</h1>
<p>"&gt;&lt;img src=x onerror=alert(1)&gt; &lt;/pre&gt;&lt;/li&gt;&lt;style&gt;*{display:none}</p>
<table><tr><th>a</th></tr><tr><td>&lt;svg onload=alert(1)&gt;</td></tr></table>"""


def write_papers(folder: Path) -> None:
    """Write an invoice, a picture, a letter, and a page with markup for browsers in its text."""
    folder.mkdir()
    for path in (
        "invoices/2026/INV-2026-001.pdf",
        "correspondence/receipt.png",
        "correspondence/repair-agreement.docx",
    ):
        shutil.copy(EXAMPLES / path, folder / path.rpartition("/")[2])
    (folder / "offer.html").write_text(HOSTILE)


def papers_manifest(root: Path) -> dict[str, Any]:
    """Each is parsed, and fields are extracted with their places."""
    options = {"settings": {"citations": {"enabled": True}}}
    return {
        "batch": "papers",
        "source": {"directory": str(root / "in")},
        "job": [
            {"name": "parse"},
            {
                "name": "extract",
                "endpoint": "extract",
                "schema_file": str(SCHEMA),
                "options": options,
            },
        ],
        "output": {"directory": str(root / "results" / "papers")},
    }
