"""The command line: the one place that reads argv, the terminal and signals. Data to stdout, words to stderr."""

from batcher.cli import beginning, care, outputs, running
from batcher.cli.group import main

__all__ = ["beginning", "care", "main", "outputs", "running"]
