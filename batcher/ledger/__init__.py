"""REMEMBERS: the SQLite file of every document, attempt and event, its journal, and what can be
asked of both.
"""
