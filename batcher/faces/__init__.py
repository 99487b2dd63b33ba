"""SHOWS: all that people read."""
