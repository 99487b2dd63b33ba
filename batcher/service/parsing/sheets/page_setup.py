"""The headers and footers that a sheet has when it is printed, as XLSX, XLSB and XLS write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from batcher.service.parsing.pages import PageBlock
from batcher.service.parsing.sheets.workbook import Sheet

_CODE: Final = re.compile(r'&(?:"[^"]*"|\d+|K(?:[0-9A-Fa-f]{6}|\d\d[+-]\d{3})|.)', re.DOTALL)


def add_headers(sheet: Sheet, found: Iterable[tuple[str, str]]) -> None:
    """Add headers and footers to a sheet, the same text once.

    `found` has "Header" or "Footer" and the code of each.
    """
    for type_, code in dict.fromkeys(found):
        block = PageBlock(type_, header_text(code))
        (sheet.above if type_ == "Header" else sheet.below).append(block)


def header_text(code: str) -> str:
    """Return the text of a header's or footer's code, a line for each of its three places.

    The codes for page numbers, dates and file names write nothing: what they show isn't in the
    file.
    """

    def replaced(found: re.Match[str]) -> str:
        if found[0] == "&&":
            return "&"
        return "\n" if found[0][1] in "LCR" else ""

    lines = _CODE.sub(replaced, code).split("\n")
    return "\n".join(line.strip() for line in lines if line.strip())
