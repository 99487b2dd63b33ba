"""How right extraction by rules is: `python tests/bench/extraction.py [FOLDER]`.

Without a folder: the documents and expected values of `extraction.json`; each field is right, null
though the document says it, or wrong (also where it says nothing), and a wrong one costs more than
ten nulls. With a folder: whatever is found in its documents by a schema of common fields, for a
person to judge.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batcher.service.extraction.citing import plain
from batcher.service.extraction.document_index import gather
from batcher.service.extraction.filling import fill
from batcher.service.extraction.schema import read_schema
from batcher.service.parsing import DocumentProblem, parse

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).with_suffix(".json")
TEXT = {"type": "string"}
NUMBER = {"type": "number"}
DATE = {"type": "string", "format": "date"}
COMMON = {
    "type": "object",
    "properties": {
        **dict.fromkeys(
            "title author name company address phone email subject country status".split(), TEXT
        ),
        **dict.fromkeys(
            (
                "invoice_number account_number order_number reference customer supplier currency"
            ).split(),
            TEXT,
        ),
        **dict.fromkeys(
            "total subtotal tax_amount price quantity weight amount_due".split(), NUMBER
        ),
        **dict.fromkeys("date invoice_date due_date birth_date".split(), DATE),
    },
}


def extracted(path: Path, schema: Any) -> Any:
    options = {
        "settings": {"return_ocr_data": True},
        "spreadsheet": {"split_large_tables": {"enabled": False}},
    }
    return plain(
        fill(
            read_schema(schema), gather(parse(path, extension=path.suffix, options=options).result)
        )
    )


def judged(found: Any, expected: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """(verdict, place) of each leaf that is expected; a list of another length is judged item by
    item.
    """
    if isinstance(expected, dict):
        for name, value in expected.items():
            yield from judged((found or {}).get(name), value, f"{where}.{name}")
    elif isinstance(expected, list):
        items = [*(found or []), *[None] * len(expected)]
        for number, value in enumerate(expected):
            yield from judged(items[number], value, f"{where}[{number}]")
        yield from ((f"wrong {item!r}", f"{where}[+]") for item in (found or [])[len(expected) :])
    elif found == expected:
        yield "right", where
    else:
        yield ("null" if found is None else f"wrong {found!r}, not {expected!r}"), where


def measure(cases: list[Any], folder: Path) -> Counter[str]:
    verdicts: Counter[str] = Counter()
    for case in cases:
        found = extracted(folder / case["document"], case["schema"])
        for verdict, where in judged(found, case["expected"]):
            verdicts[verdict.split()[0]] += 1
            if verdict != "right":
                print(f"{case['document']}: {where.lstrip('.')}: {verdict}")
    return verdicts


def look_through(folder: Path) -> None:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        began = time.process_time()
        try:
            found = {
                name: value for name, value in extracted(path, COMMON).items() if value is not None
            }
        except DocumentProblem as problem:
            print(f"{path.name}: {problem.name}")
            continue
        print(
            f"{path.name} ({time.process_time() - began:.2f} s): "
            f"{json.dumps(found, ensure_ascii=False)}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    arguments = parser.parse_args()
    if arguments.folder:
        look_through(arguments.folder)
        return 0
    verdicts = measure(json.loads(CASES.read_text()), ROOT)
    fields = verdicts.total()
    print(
        f"{fields} fields: {verdicts['right']} right, {verdicts['null']} null, "
        f"{verdicts['wrong']} wrong"
    )
    return 1 if verdicts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
