"""Where results go: the files of each format, and the mirror."""
