"""Classify pages and documents by the words of descriptions, without a model.

A description that shares no word with the document matches nothing, so descriptions should use
words that occur in the documents.
"""
