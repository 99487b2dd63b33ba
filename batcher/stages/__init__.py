"""Moves documents on: loops that report events and decide nothing by themselves."""
