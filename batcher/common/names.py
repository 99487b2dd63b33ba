"""What a document is called and what makes it the same document: names, outputs, content keys.

A name is a relative path as text that reads well, stores anywhere and turns back into the very same
bytes.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256
from typing import Final

LONGEST_COMPONENT: Final = 255  # bytes of one file name, on every file system we write to
# bytes below the output directory: Linux takes 4,095 in all, and pictures lie deeper
LONGEST_PATH: Final = 3000
# seconds a file must have been left alone before it is read: it may still be being copied
SETTLING: Final = 2.0
OWN_FOLDER: Final = ".batcher"


def name_of(raw: bytes) -> str:
    r"""Text for a path: itself if that is plain UTF-8; a backslash as `\\`, any other odd byte as
    `\xNN`.
    """
    text = raw.decode("utf-8", "surrogateescape").replace("\\", "\\\\")
    return (
        "".join(_escape(c) if _is_odd(c) else c for c in text) if not text.isprintable() else text
    )


def path_of(name: str) -> bytes:
    """The bytes that `name_of` made `name` from."""
    if "\\" not in name:
        return name.encode()
    return b"".join(_unescape(part) for part in _ESCAPES.split(name))


def extension_of(name: str) -> str:
    """Lower case and without its dot; empty where there is none."""
    stem, _, extension = name.rpartition("/")[2].rpartition(".")
    return extension.lower() if stem else ""


def content_key(digest: str, name: str) -> str:
    """What two documents must share to be one: the bytes, and the extension that tells the service
    how to read them.
    """
    return f"{digest}.{extension_of(name)}"


def identity(content: str, step: str) -> str:
    """Says which bytes and step a submission is of, to whoever has both, and to nobody else."""
    return sha256(f"{content} {step}".encode()).hexdigest()[:32]


def output_name(name: str, *, suffix: str = ".json") -> str:
    """Where the result of `name` goes, relative to the output directory: inside it, never in
    batcher's own folder.
    """
    parts = [part for part in _SCHEME.sub("", name).split("/") if part not in ("", ".", "..")] or [
        "document"
    ]
    if parts[0].startswith(OWN_FOLDER):
        parts[0] = f"_{parts[0]}"
    folders = [_fit(part, "", tag=name) for part in parts[:-1]]
    last = _fit(parts[-1], suffix, tag=name)
    return "/".join(
        [*_within(folders, LONGEST_PATH - len(last.encode()), tag="/".join(parts[:-1])), last]
    )


def beside(output: str, suffix: str) -> str:
    """What is made of the result at `output` stands beside it, under the same name but for its
    ending.
    """
    folder, slash, last = output.rpartition("/")
    return folder + slash + _fit(last.removesuffix(".json"), suffix, tag=output)


def elsewhere(output: str) -> tuple[str, ...]:
    """Where the result for `output` goes if that place can't be had: a file may stand where its
    folder should be, or the file system may not take such a name. Directly in the output directory,
    the second time without its own name.
    """
    mark = sha256(output.encode()).hexdigest()[:16]
    return with_tag(output.rpartition("/")[2], mark[:8]), f"{mark}.json"


def with_tag(output: str, tag: str) -> str:
    """The same place under another name, for where the first is taken."""
    folder, _, last = output.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    tagged = _fit(stem or last, f".{tag}{dot}{suffix}" if stem else f".{tag}", tag=None)
    return f"{folder}/{tagged}" if folder else tagged


def collision_key(output: str) -> str:
    """Equal for two outputs that some file system takes for one: it may ignore case or the form of
    Unicode.
    """
    return unicodedata.normalize("NFC", output).casefold()


def settled(mtime_ns: int, now: float) -> bool:
    """Whether a file has been left alone long enough.

    One from the future counts as settled: its clock is wrong.
    """
    return not 0 <= now - mtime_ns / 1e9 < SETTLING


_SCHEME: Final = re.compile(r"^[a-z][a-z0-9]*://")  # of a document by its address
_ESCAPES: Final = re.compile(r"(\\\\|\\x[0-9a-f]{2})")


def _is_odd(character: str) -> bool:
    return not character.isprintable() and character != " "


def _escape(character: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def _unescape(part: str) -> bytes:
    if part == "\\\\":
        return b"\\"
    return bytes([int(part[2:], 16)]) if part.startswith("\\x") else part.encode()


def _fit(stem: str, suffix: str, *, tag: str | None) -> str:
    """`stem` + `suffix`, the stem cut where the two are too long; what was cut off is told apart by
    a hash.
    """
    room = LONGEST_COMPONENT - len(suffix.encode())
    if len(path_of(stem)) <= room and len(stem.encode()) <= room:
        return stem + suffix
    mark = f".{sha256((tag or stem).encode()).hexdigest()[:8]}"
    kept = stem.encode()[: room - len(mark)].decode("utf-8", "ignore")
    return _ESCAPE_TAIL.sub("", kept) + mark + suffix


def _within(folders: list[str], room: int, *, tag: str) -> list[str]:
    """`folders` as they are where there is room; else as many as leave some, and one for all the
    others.
    """
    if sum(len(folder.encode()) + 1 for folder in folders) <= room:
        return folders
    mark = sha256(tag.encode()).hexdigest()[:16]
    kept = []
    left = room - len(mark) - 1
    for folder in folders:
        left -= len(folder.encode()) + 1
        if left < 0:
            break
        kept.append(folder)
    return [*kept, mark]


_ESCAPE_TAIL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\(?:x[0-9a-f]?)?$")
