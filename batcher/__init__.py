"""batcher: every document through the API once, every result on disk before it expires."""

__version__ = "0.1.0"
