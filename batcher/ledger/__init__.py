"""The ledger: a SQLite file of all documents, attempts and events, its journal, and the queries.

It keeps the record of a batch. It decides nothing and calls no service.
"""
