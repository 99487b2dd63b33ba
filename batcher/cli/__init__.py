"""The command line: the only place that reads argv, the terminal and signals.

Data goes to stdout, messages go to stderr.
"""

from batcher.cli import (
    failures,
    init,
    maintenance,
    one_document,
    options,
    outputs,
    planning,
    running,
    serving,
    status,
    web,
)
from batcher.cli.group import main

__all__ = [
    "failures",
    "init",
    "main",
    "maintenance",
    "one_document",
    "options",
    "outputs",
    "planning",
    "running",
    "serving",
    "status",
    "web",
]
