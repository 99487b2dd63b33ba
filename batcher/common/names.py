"""What identifies documents and results: names, output paths, content keys, step hashes. Pure.

A name is a relative path as text that is readable, can be stored anywhere, and converts back into
the same bytes.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256
from typing import Final

LONGEST_COMPONENT: Final = 255  # bytes of a file name, on every file system in use
# Bytes below the output directory. Linux allows 4,095 in all, and pictures are in a folder below.
LONGEST_PATH: Final = 3000
# Seconds for which a file must be unchanged before it is read: it may still be being copied.
SETTLING: Final = 2.0
OWN_FOLDER: Final = ".batcher"


def name_of(raw: bytes) -> str:
    r"""Return text for a path: itself if that is plain UTF-8.

    A backslash becomes two, and any byte that isn't printable UTF-8 becomes \xNN.
    """
    text = raw.decode("utf-8", "surrogateescape").replace("\\", "\\\\")
    return (
        "".join(_escape(c) if _is_odd(c) else c for c in text) if not text.isprintable() else text
    )


def is_text(typed: str) -> bool:
    """Tell whether something typed, a path for example, is text throughout.

    Bytes that aren't, the interpreter hands over as lone surrogates.
    """
    try:
        typed.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(typed: str) -> str:
    """Return something typed as text that can be stored and shown: as it is if it is text."""
    return typed if is_text(typed) else name_of(typed.encode("utf-8", "surrogateescape"))


def path_of(name: str) -> bytes:
    """Return the bytes from which `name_of` made `name`."""
    if "\\" not in name:
        return name.encode()
    return b"".join(_unescape(part) for part in _ESCAPES.split(name))


def extension_of(name: str) -> str:
    """Return the extension in lower case without its dot, or ""."""
    stem, _, extension = name.rpartition("/")[2].rpartition(".")
    return extension.lower() if stem else ""


def content_key(digest: str, name: str) -> str:
    """Return what identical documents share: the hash of the bytes, and the extension.

    The extension counts since it tells the service how to read the bytes.
    """
    return f"{digest}.{extension_of(name)}"


def identity(content: str, step: str) -> str:
    """Return a hash of a submission's content and step, which reveals neither of them."""
    return sha256(f"{content} {step}".encode()).hexdigest()[:32]


def output_name(name: str, *, suffix: str = ".json") -> str:
    """Return the path of the result of `name`, relative to the output directory.

    It stays inside that directory and outside batcher's own folder in it.
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
    """Return the path for a file made from the result at `output`, in the same folder."""
    folder, slash, last = output.rpartition("/")
    return folder + slash + _fit(last.removesuffix(".json"), suffix, tag=output)


def elsewhere(output: str) -> tuple[str, ...]:
    """Return two paths for a result if `output` can't be used, directly in the output directory.

    A file may stand where its folder should be, or the file system may not accept the name; the
    second path has nothing of the name.
    """
    mark = sha256(output.encode()).hexdigest()[:16]
    return with_tag(output.rpartition("/")[2], mark[:8]), f"{mark}.json"


def with_tag(output: str, tag: str) -> str:
    """Return the path with `tag` before its extension, for a name that is taken."""
    folder, _, last = output.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    tagged = _fit(stem or last, f".{tag}{dot}{suffix}" if stem else f".{tag}", tag=None)
    return f"{folder}/{tagged}" if folder else tagged


def collision_key(output: str) -> str:
    """Return a key that is equal for paths that some file system takes for the same.

    File systems may ignore case or Unicode normalization.
    """
    return unicodedata.normalize("NFC", output).casefold()


def settled(mtime_ns: int, now: float) -> bool:
    """Tell whether a file has been unchanged for `SETTLING` seconds at the time `now`.

    A modification time in the future counts as settled, since the clock was wrong.
    """
    return not 0 <= now - mtime_ns / 1e9 < SETTLING


_SCHEME: Final = re.compile(r"^[a-z][a-z0-9]*://")  # of a document's address
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
    """Return `stem` + `suffix`; a stem that is too long is cut and gets a hash."""
    room = LONGEST_COMPONENT - len(suffix.encode())
    if len(path_of(stem)) <= room and len(stem.encode()) <= room:
        return stem + suffix
    mark = f".{sha256((tag or stem).encode()).hexdigest()[:8]}"
    kept = stem.encode()[: room - len(mark)].decode("utf-8", "ignore")
    return _ESCAPE_TAIL.sub("", kept) + mark + suffix


def _within(folders: list[str], room: int, *, tag: str) -> list[str]:
    """Return `folders` if they fit in `room` bytes; otherwise replace the last ones by a hash."""
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
