"""What a manifest may say, and how it is read and checked."""
