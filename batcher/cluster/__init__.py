"""Hands that a service borrows to read documents: processes of this machine, or of a Ray cluster.

Whatever pays, calls the API, or opens a ledger has no part in it.
"""
