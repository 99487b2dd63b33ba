"""TOUCHES the world: client, sources, store, webhooks. No rule of a document's life."""
