"""Where documents come from: folders, listings, object stores; their passwords and page counts."""
