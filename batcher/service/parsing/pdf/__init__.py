"""PDF: pages and their blocks, forms, attachments, the Info dictionary, and damaged files."""
