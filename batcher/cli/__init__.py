"""The command line: the one place that reads argv, the terminal and signals.

Data to stdout, words to stderr.
"""

from batcher.cli import init, maintenance, outputs, running
from batcher.cli.group import main

__all__ = ["init", "main", "maintenance", "outputs", "running"]
