"""Extraction by a schema without a model: fields found by their labels and tables by their headers,
or left null.

Runs in worker processes on answers in memory. It can't read prose; what a field means it knows from
its name, title and description alone.
"""
