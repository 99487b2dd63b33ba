"""The results of a batch as Python values: text, tables, extracted fields with their types.

python examples/read_results.py OUTPUT
"""

import sys

from batcher import open_results

with open_results(sys.argv[1] if len(sys.argv) > 1 else "results/quickstart") as results:
    for document in results.where(type="pdf"):
        tables = [len(table.rows) for table in document.tables()]
        print(f"{document.source}: {document.pages} pages, tables of {tables} rows")
    for row in results.rows("fields"):
        print(row["source"], row.get("invoice_date"), row.get("total"))
    chunks = results.to_arrow("chunks")  # needs the extra `parquet`; to_pandas the extra `pandas`
    print(f"{chunks.num_rows} chunks, columns {', '.join(chunks.column_names)}")
