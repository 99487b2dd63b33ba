"""The manifests beside the README, one for each endpoint, run as they stand: real documents, real
values.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from batcher.manifest.loading import load
from batcher.runs.plan import make_plan
from batcher.service.parsing.scans import ocr

ROOT = Path(__file__).parents[2]
TOTALS = [700.08, 2092.2, 647.04, 1004.28, 1463.4]
# else a scan and a photo are of no known category
READS_PICTURES = ocr.has_engine()


def run(name: str, folder: Path) -> dict[str, Any]:
    """Each document's result by its name, from a run in a copy of the checkout."""
    for part in ("manifests", "examples"):
        shutil.copytree(ROOT / part, folder / part)
    subprocess.run(
        [sys.executable, "-m", "batcher", "run", "-q", f"manifests/{name}.toml"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    results = folder / "results" / name
    found = sorted(path for path in results.rglob("*.json") if ".batcher" not in path.parts)
    return {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in found}


def test_extract(tmp_path: Path) -> None:
    """Five invoices: every field right, with its place, and null where none of them says
    anything.
    """
    answers = run("extract", tmp_path)
    invoices = [answer["result"] for answer in answers.values()]
    assert [invoice["total"]["value"] for invoice in invoices] == TOTALS
    for number, invoice in enumerate(invoices, 1):
        assert invoice["invoice_number"]["value"] == f"INV-2026-{number:03}"
        assert (
            invoice["supplier"]["value"] == "Saltmarsh Lantern Works"
            and invoice["currency"]["value"] == "EUR"
        )
        assert invoice["vat_rate"]["value"] == 20 and invoice["purchase_order"] == {
            "value": None,
            "citations": [],
        }
        amounts = [line["amount"]["value"] for line in invoice["line_items"]]
        assert round(sum(amounts), 2) == invoice["subtotal"]["value"]
        assert all(
            line["quantity"]["citations"][0]["bbox"]["page"] == 1 for line in invoice["line_items"]
        )
    assert invoices[4]["customer"]["value"] == "Saint Brannock Sailing School"
    assert [line["description"]["value"] for line in invoices[2]["line_items"]] == [
        "Table lantern, tin",
        "Lamp oil, 5 l",
    ]


def test_split(tmp_path: Path) -> None:
    """Twelve pages of a handbook, each about one thing."""
    (answer,) = run("split", tmp_path).values()
    assert answer["result"]["section_mapping"] == {
        "Materials": [3, 4, 5],
        "Money": [9],
        "Unhappy customers": [10, 11],
        "Holidays": [],
    }


def test_classify(tmp_path: Path) -> None:
    """A category for what the criteria describe, unknown for the rest; pictures need somebody who
    reads them.
    """
    answers = run("classify", tmp_path)
    known = {name: answer["result"]["category"] for name, answer in answers.items()}
    pictures = {"receipt.png": "receipt", "delivery-note-scan.pdf": "delivery_note"}
    expected = {
        **(pictures if READS_PICTURES else {}),
        "repair-agreement.docx": "contract",
        "letter-to-museum.txt": "letter",
        **{f"INV-2026-{number:03}.pdf": "invoice" for number in range(1, 6)},
    }
    assert known == {name: expected.get(name, "unknown") for name in known} and len(known) > len(
        expected
    )
    assert answers["INV-2026-001.pdf"]["extra_metadata"] == {"grouping": "payable"}


def test_pipeline(tmp_path: Path) -> None:
    """A parse and an extract from one job."""
    answers = run("pipeline", tmp_path)
    results = [answer["result"] for answer in answers.values()]
    assert [result["extract"]["result"]["total"]["value"] for result in results] == TOTALS
    assert all(result["parse"]["result"]["chunks"] for result in results)


async def test_a_plan_counts_the_pages_that_a_listing_asks_for(tmp_path: Path) -> None:
    """Two of a handbook's twelve: what its run is billed for."""
    planned = await make_plan(
        load(ROOT / "manifests" / "listing.toml", overrides=[f"output.directory={tmp_path}"])
    )
    assert (planned.cost.pages, planned.cost.credits) == (5, 5)
