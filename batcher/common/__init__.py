"""Small pure helpers that know neither Reducto nor batches: names, addresses, JSON, secrets,
formatting.
"""
