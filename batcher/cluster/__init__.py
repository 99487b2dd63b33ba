"""Hands to read documents, or to hash and upload files: of this machine, or of a Ray cluster.

Whatever pays, calls the API, or opens a ledger has no part in it.
"""
