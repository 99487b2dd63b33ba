"""The rules of a document's life, as pure functions: no clock, no I/O, randomness passed in."""
