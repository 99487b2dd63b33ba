"""DOCX: the document and its stories, styles, list numbers and fields."""
