"""One module for each page; `batcher.web` says what each holds."""
