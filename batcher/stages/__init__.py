"""MOVES documents on: loops that report events and have no rules of their own."""
