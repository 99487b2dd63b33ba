"""Runs of a batch, from the preflight checks to what is reported when they end."""
