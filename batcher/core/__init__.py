"""The rules of a document's life, as pure functions: no clock, no I/O, randomness as an
argument.
"""
