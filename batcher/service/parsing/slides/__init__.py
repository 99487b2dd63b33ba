"""PPTX: the deck, its layouts, shapes and text."""
