"""The command line: the only place that reads argv, the terminal and signals.

Data goes to stdout, messages go to stderr.
"""

from batcher.cli import init, maintenance, outputs, running
from batcher.cli.group import main

__all__ = ["init", "main", "maintenance", "outputs", "running"]
