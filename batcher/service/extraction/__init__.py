"""Extraction by a schema without a model: fields by their labels, arrays by the headers of tables.

Runs in worker processes on parse results in memory. It doesn't read prose, and it knows what a
field means only from its name, title and description; a field it isn't sure of is null.
"""
