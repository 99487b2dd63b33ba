"""Runs of a batch, from the preflight checks to the report at the end."""
