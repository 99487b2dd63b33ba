"""A script for Reducto that knows nothing of batcher: it reads its key and its service from the
environment.

REDUCTO_BASE_URL=http://127.0.0.1:8080 REDUCTO_API_KEY=… python someone_elses_script.py report.pdf
"""

import sys
from pathlib import Path

from reducto import Reducto

client = Reducto()
for name in sys.argv[1:]:
    upload = client.upload(file=Path(name))
    answer = client.parse.run(input=upload, retrieval={"chunking": {"chunk_mode": "page"}})
    for chunk in answer.result.chunks:
        print(chunk.content)
