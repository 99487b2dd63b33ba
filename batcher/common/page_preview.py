"""What is said between those who show a page of a document, and the process that makes it.

Questions and answers are lines of JSON, in which bytes stand as base64.
"""

from __future__ import annotations

import msgspec


class Question(msgspec.Struct):
    """Which page of a document is to be shown, from 1. `extension` says its type if it doesn't."""

    path: bytes  # need not be text
    extension: str
    page: int = 1


class Preview(msgspec.Struct, frozen=True):
    """A page as a person sees it: its `picture` as WebP, or its `text`.

    `problem` says why there is neither. `pages` counts those of the document.
    """

    pages: int = 0
    picture: bytes = b""
    width: int = 0
    height: int = 0
    text: str = ""
    problem: str = ""

    @property
    def size(self) -> int:
        """Return about how many bytes it takes in memory."""
        return len(self.picture) + len(self.text) * 2 + 500
