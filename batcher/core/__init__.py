"""The rules of a document's life, pure: no clock, no I/O; randomness comes in as an argument."""
