"""The pages as a browser shows them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ledgers import make_ledger
from web_client import severe_findings

from batcher.web.server import Address

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_the_address_leads_to_the_batches_without_the_token(
    folder: Path, page: Page, address: Address
) -> None:
    """The token doesn't stay in the address, and everybody can use the page."""
    make_ledger(folder / "archive" / ".batcher" / "ledger.db", 20)
    page.reload()
    assert page.url == f"{address.root}/"
    page.get_by_role("link", name="archive").click()
    assert page.get_by_role("heading", level=1).inner_text() == "archive"
    assert severe_findings(page) == []
