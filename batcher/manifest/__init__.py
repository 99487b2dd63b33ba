"""The contents of a manifest, and how it is read and checked."""
