"""Which page is of which kind, and what a document is, by the words of descriptions. No model, and
no guesses.

A description that shares no word with the document finds nothing: real words of the documents
belong in it.
"""
