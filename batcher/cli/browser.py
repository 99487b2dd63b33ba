"""Opens an address in the person's browser without showing it to other users of the machine.

A browser's command line can be read by everybody, so it gets the name of a private file that leads
on to the address.
"""

from __future__ import annotations

import html
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def open_in_browser(address: str) -> Iterator[None]:
    """Open `address`; the file that leads there is removed at the end of the block.

    A browser that takes over the terminal doesn't hold up the block.
    """
    with tempfile.TemporaryDirectory(prefix="batcher-web-") as folder:  # its mode is 0700
        file = Path(folder) / "open.html"
        quoted = html.escape(address, quote=True)
        file.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>batcher</title>'
            f'<meta http-equiv="refresh" content="0;url={quoted}"></head>'
            f'<body><p><a href="{quoted}">Open batcher</a></p></body></html>'
        )
        opening = threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True)
        opening.start()
        yield
