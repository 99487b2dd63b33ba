"""HTML, also within mail and EPUB: the tree, its lists, and a walk over its nodes."""
