"""TOUCHES the world: ledger, client, sources, store. No rule of a document's life."""
