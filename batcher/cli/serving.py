"""The command `serve`, which serves Reducto's API from this machine."""

from __future__ import annotations

import os
from typing import Any

from batcher.cli.group import main
from batcher.service.arguments import service_options


@main.command(short_help="Serve Reducto's API from this machine.")
@service_options
def serve(**words: Any) -> None:
    """Serve Reducto's API from this machine, for any client of that API.

    Prints its address, and an API key if it had to generate one.

    \b
    batcher serve --port 8080
    REDUCTO_BASE_URL=http://127.0.0.1:8080 python anyones_script.py
    """
    from batcher.service.__main__ import serve as serve_for_ever
    from batcher.service.arguments import options_of

    serve_for_ever(options_of(words), key=os.environ.get(words["api_key_env"]))
