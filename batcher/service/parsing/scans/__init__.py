"""Pictures and scans: their frames, OCR, and how lines on a page make columns and paragraphs."""
