"""Small pure helpers that know neither Reducto nor batches.

They cover names, addresses, JSON, text files, secrets and formatting.
"""
