"""A process in place of the one that makes pages: it dies, hangs, or says odd things."""

import json
import os
import sys
import time

for line in sys.stdin:
    kind = json.loads(line)["extension"]
    if kind == "dies":
        os.abort()
    if kind == "hangs":
        time.sleep(60)
    if kind == "tells":
        kind = " ".join(os.environ)
    print(
        "{" if kind == "babbles" else json.dumps({"pages": os.getpid(), "text": kind}), flush=True
    )
