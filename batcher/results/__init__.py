"""Results of a batch as Python values: documents, chunks, blocks, extracted fields, table rows.

    from batcher.results import open_results

    with open_results("results/nightly") as results:
        for document in results.where(match="invoices/**"):
            print(document.source, document.credits, document.text[:80])
        frame = results.to_pandas("fields")  # pip install 'reducto-batcher[pandas]'

It reads the ledger and the files beside it, also while a run is under way, and changes nothing.
"""

from batcher.errors import ResultDamaged
from batcher.results.document import Block, Chunk, Document, Table
from batcher.results.reader import TABLES, Results, open_results

__all__ = [
    "TABLES",
    "Block",
    "Chunk",
    "Document",
    "ResultDamaged",
    "Results",
    "Table",
    "open_results",
]
