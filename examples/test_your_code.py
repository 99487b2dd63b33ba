"""How your own tests get a Reducto that reads documents: the fixture, and here the official SDK as
its client.

pytest examples/test_your_code.py
"""

from pathlib import Path

from reducto import Reducto

from batcher.testing import LocalReducto, local_reducto  # noqa: F401 (pytest finds the fixture by its name)

DOCUMENT = Path(__file__).parent / "documents" / "invoices" / "2026" / "INV-2026-001.pdf"


def words_of(client: Reducto, document: Path) -> str:
    """Your code."""
    upload = client.upload(file=document)
    result = client.parse.run(input=upload)
    return "\n".join(chunk.content for chunk in result.result.chunks)


def test_an_invoice_is_read(local_reducto: LocalReducto) -> None:  # noqa: F811
    client = Reducto(base_url=local_reducto.url, api_key=local_reducto.key)
    assert "INV-2026-001" in words_of(client, DOCUMENT)
