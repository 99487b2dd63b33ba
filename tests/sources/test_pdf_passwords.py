"""Trying passwords on a document, and what takes down whoever tries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from locked_pdf import locked_pdf

from batcher.errors import DocumentLocked
from batcher.manifest.model import Source
from batcher.sources.passwords import Passwords
from batcher.sources.pdf_passwords import wants_password

OFFICE = b"\xd0\xcf\x11\xe0" + bytes(500) + "EncryptedPackage".encode("utf-16-le")


@pytest.fixture
def passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Passwords]:
    monkeypatch.setenv("P", "one\ntwo")
    passwords = Passwords([Source(directory=tmp_path, passwords_env="P")], where="a test")
    yield passwords
    passwords.close()


@pytest.mark.parametrize(
    ("content", "opened"),
    [
        (locked_pdf("x", "two"), "two"),
        (locked_pdf("x", ""), None),
        (b"plain /Encrypt text", None),
        (OFFICE, "one"),
        (OFFICE[:400], None),
        (b"%PDF-1.4 broken /Encrypt", "one"),
    ],
)
def test_what_opens_a_document(
    content: bytes, opened: str | None, passwords: Passwords, tmp_path: Path
) -> None:
    """From memory and from disk alike; the first one where nobody here can tell."""
    (tmp_path / "x").write_bytes(content)
    named = passwords.of(str(tmp_path), "x")
    assert passwords.opening(content, named) == passwords.opening(tmp_path / "x", named) == opened


def test_a_name_that_is_no_utf8_is_opened_like_any_other(
    passwords: Passwords, tmp_path: Path
) -> None:
    """Older systems left such names."""
    path = tmp_path / os.fsdecode(b"gr\xfc\xdfe.pdf")
    path.write_bytes(locked_pdf("x", "two"))
    assert passwords.opening(path, ("one", "two")) == "two"


def test_what_nothing_opens_is_locked(passwords: Passwords) -> None:
    """And no password stands in the words for it."""
    with pytest.raises(DocumentLocked, match="PASSWORD_PROTECTED") as caught:
        passwords.opening(locked_pdf("x", "three"), ("one", "two"))
    assert "one" not in str(caught.value).split() and "two" not in str(caught.value).split()


def test_a_file_that_took_the_process_down_costs_nobody_else(passwords: Passwords) -> None:
    """The next document finds a new one."""
    locked = locked_pdf("x", "two")
    assert passwords.opening(locked, ("one", "two")) == "two"
    process = passwords._unlocker._process
    assert process is not None
    process.kill()
    process.wait()
    assert passwords.opening(locked, ("one", "two")) == "one", (
        "what can't be told is left to the service"
    )
    assert passwords.opening(locked, ("one", "two")) == "two"


def test_a_file_that_is_gone_wants_none_that_could_be_told(tmp_path: Path) -> None:
    """Whoever reads it next says so."""
    assert wants_password(tmp_path / "gone.pdf") is None
