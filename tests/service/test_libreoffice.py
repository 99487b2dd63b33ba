"""Old formats are converted by LibreOffice, here by a program of the same name that does the same.

With LibreOffice installed the last tests convert by it.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from compound_file import write_compound
from marked_pptx import marked

from batcher.service.parsing import parse
from batcher.service.parsing.office import libreoffice
from batcher.service.parsing.pages import DocumentProblem

# The output's folder is the argument after --outdir; the last argument is the document.
FAKE = """#!/bin/sh
echo "$@" > {seen}; pwd >> {seen}; env >> {seen}; ls -R >> {seen}
while [ "$1" != --outdir ]; do shift; done
mkdir -p "$2"
{act}
"""
COPY = 'cp {made} "$2/document.{target}"'


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Make the program that is found on PATH; returns where it writes what it saw."""

    def make(act: str, made: bytes = b"", target: str = "pptx") -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        seen = tmp_path / "seen"
        copied = tmp_path / "made"
        copied.write_bytes(made)
        path = folder / "soffice"
        path.write_text(FAKE.format(seen=seen, act=act.format(made=copied, target=target)))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return seen

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    yield make
    assert list(temporary.iterdir()) == []  # whatever happened, nothing is left behind


def slides_of_old(path: Path, **streams: bytes) -> Path:
    write_compound(path, {"PowerPoint Document": b"x" * 5000, **streams})
    return path


def old_word(path: Path) -> Path:
    from test_office_formats import word

    return word(path, ("Read without.\r", "cp1252"))


def text(path: Path) -> list[str]:
    parsed = parse(path, extension=path.suffix, options={})
    return [block["content"] for chunk in parsed.result["chunks"] for block in chunk["blocks"]]


def problem(path: Path) -> DocumentProblem:
    with pytest.raises(DocumentProblem) as caught:
        text(path)
    return caught.value


def new_word(path: Path) -> bytes:
    import docx

    document = docx.Document()
    document.add_paragraph("Read with LibreOffice.")
    document.save(str(path))
    return path.read_bytes()


@pytest.mark.parametrize("extension", ["ppt", "pot", "pps", "pptx", "bin"])
def test_old_slides_are_converted(tmp_path, program, extension):
    """Whatever the file is called; its streams show what it is."""
    content, places = marked()
    seen = program(COPY, content)
    assert places["title"] in text(slides_of_old(tmp_path / f"a.{extension}"))
    assert "--convert-to pptx:Impress MS PowerPoint 2007 XML" in seen.read_text()


def test_it_sees_nothing_of_the_user_s(tmp_path, program, monkeypatch):
    """No home, no secrets, no profile but its own, no macros and no network."""
    monkeypatch.setenv("REDUCTO_API_KEY", "secret")
    seen = program(COPY, marked()[0])
    text(slides_of_old(tmp_path / "a.ppt"))
    told = seen.read_text()
    command, folder, *_ = told.splitlines()
    assert "secret" not in told
    assert f"-env:UserInstallation=file://{folder}/profile" in command
    assert f"HOME={folder}\n" in told and f"TMPDIR={folder}\n" in told
    assert "registrymodifications.xcu" in told and "https_proxy=http://127.0.0.1:9\n" in told


def test_word_perfect_is_converted(tmp_path, program):
    """To DOCX, by the first bytes of the file."""
    program(COPY, new_word(tmp_path / "new.docx"), "docx")
    path = tmp_path / "a.wpd"
    path.write_bytes(b"\xffWPC" + bytes(100))
    assert text(path) == ["Read with LibreOffice."]


def test_old_word_is_converted_where_it_can_be(tmp_path, program):
    """And read without LibreOffice where it fails, which is told."""
    program(COPY, new_word(tmp_path / "new.docx"), "docx")
    assert text(old_word(tmp_path / "a.doc")) == ["Read with LibreOffice."]
    (tmp_path / "bin" / "soffice").write_text("#!/bin/sh\nexit 1\n")
    parsed = parse(tmp_path / "a.doc", extension="doc", options={})
    assert "Read without." in parsed.result["chunks"][0]["content"]
    assert parsed.notes == ["LibreOffice can't open the document"]


def test_old_word_is_read_without_libreoffice(tmp_path, monkeypatch):
    """By its own reader."""
    monkeypatch.setattr(libreoffice, "program", lambda: None)
    assert text(old_word(tmp_path / "a.doc")) == ["Read without."]


@pytest.mark.parametrize("name", ["a.ppt", "a.wpd"])
def test_the_error_says_what_to_install(tmp_path, monkeypatch, name):
    """Where nothing converts."""
    monkeypatch.setattr(libreoffice, "program", lambda: None)
    path = slides_of_old(tmp_path / name)
    if name == "a.wpd":
        path.write_bytes(b"\xffWPC" + bytes(100))
    caught = problem(path)
    assert caught.name == "DOCUMENT_UNSUPPORTED" and "apt install libreoffice" in caught.message


def test_an_encrypted_presentation_wants_a_password(tmp_path, program):
    """It isn't given to LibreOffice."""
    program(COPY, marked()[0])
    user = bytes(12) + bytes.fromhex("dfc4d1f3") + bytes(5000)
    path = slides_of_old(tmp_path / "a.ppt", **{"Current User": user})
    assert problem(path).name == "DOCUMENT_PASSWORD_PROTECTED"


@pytest.mark.parametrize(
    ("act", "name", "message"),
    [
        ("echo Error: source file could not be loaded; exit 1", "DOCUMENT_CORRUPT", "can't open"),
        ("exit 0", "DOCUMENT_CORRUPT", "can't open"),
        ("kill -SEGV $$", "DOCUMENT_CORRUPT", "SIGSEGV"),
        ("kill -XCPU $$", "OFFICE_CONVERSION_TOO_LARGE", "more than is allowed"),
        ("echo libvcl.so: not found; exit 127", "DOCUMENT_UNSUPPORTED", "libvcl.so: not found"),
        ('echo broken > "$2/document.pptx"', "DOCUMENT_CORRUPT", "can't be read"),
        ("sleep 100", "OFFICE_CONVERSION_TOO_LARGE", "longer than"),
    ],
)
def test_what_goes_wrong_has_a_name(tmp_path, program, monkeypatch, act, name, message):
    """The document's fault, or that of the installation."""
    program(act)
    monkeypatch.setattr(libreoffice, "SECONDS", 2)
    caught = problem(slides_of_old(tmp_path / "a.ppt"))
    assert (caught.name, message in caught.message) == (name, True), caught.message


def test_it_ends_with_the_process_that_started_it(tmp_path, program):
    """Killed at once, that leaves neither a process nor a folder behind."""
    seen = program(f"echo $$ > {tmp_path}/pid; sleep 100 & wait")
    path = slides_of_old(tmp_path / "a.ppt")
    source = (
        "import sys, tempfile; from pathlib import Path; "
        "from batcher.service.parsing.office.old_office import read_ppt; "
        f"tempfile.tempdir = {str(tmp_path / 'temporary')!r}; read_ppt(Path(sys.argv[1]), {{}})"
    )
    starter = subprocess.Popen([sys.executable, "-c", source, str(path)])
    eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    starter.kill()
    starter.wait()
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not is_running(pid) and not any((tmp_path / "temporary").iterdir()))
    assert seen.exists()


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def eventually(holds: Any) -> None:
    """Wait up to ten seconds."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


# --- the real program, where it is installed ------------------------------------------------------

INSTALLED = libreoffice.program()


def saved_as(extension: str, path: Path) -> Path:
    """Have LibreOffice save the document in an old format."""
    assert INSTALLED is not None
    profile = f"-env:UserInstallation=file://{path.parent}/profile"
    how = ["--headless", "--convert-to", extension, "--outdir", str(path.parent / "old")]
    subprocess.run([INSTALLED, profile, *how, str(path)], check=True, capture_output=True)
    return path.parent / "old" / f"{path.stem}.{extension}"


@pytest.mark.skipif(INSTALLED is None, reason="LibreOffice is not installed")
def test_libreoffice_itself_converts(tmp_path):
    """A document that it recognises by its content."""
    path = tmp_path / "a.doc"
    path.write_text(r"{\rtf1\ansi Read with LibreOffice.\par}")
    with libreoffice.converted(path, source="doc", target="docx") as found:
        path = tmp_path / "a.docx"
        path.write_bytes(found.read_bytes())
    assert text(path) == ["Read with LibreOffice."]


@pytest.mark.skipif(INSTALLED is None, reason="LibreOffice is not installed")
def test_old_word_is_read_as_the_real_program_converts_it(tmp_path: Path) -> None:
    """With its headings, tables, headers, and what stands in the cells."""
    import docx

    document = docx.Document()
    document.add_heading("The heading", 1)
    document.add_paragraph("A paragraph with an ümlaut.")
    document.add_table(1, 2).rows[0].cells[1].text = "in a cell"
    document.sections[0].header.paragraphs[0].text = "The header"
    document.save(str(tmp_path / "new.docx"))
    parsed = parse(saved_as("doc", tmp_path / "new.docx"), extension="doc", options={})
    blocks = [
        (block["type"], block["content"])
        for chunk in parsed.result["chunks"]
        for block in chunk["blocks"]
    ]
    assert ("Section Header", "The heading") in blocks and ("Header", "The header") in blocks
    assert ("Text", "A paragraph with an ümlaut.") in blocks
    assert [content for kind, content in blocks if kind == "Table"] == [
        "|  | in a cell |\n| --- | --- |"
    ]
    assert parsed.notes == []


@pytest.mark.skipif(INSTALLED is None, reason="LibreOffice is not installed")
def test_old_slides_are_read_as_the_real_program_converts_them(tmp_path: Path) -> None:
    """With their titles, bodies and notes, and each on its page."""
    import pptx

    deck = pptx.Presentation()
    for number in (1, 2):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = f"Title {number}"
        slide.placeholders[1].text = f"Body {number}"
        slide.notes_slide.notes_text_frame.text = f"Note {number}"
    deck.save(str(tmp_path / "new.pptx"))
    parsed = parse(saved_as("ppt", tmp_path / "new.pptx"), extension="ppt", options={})
    found = [
        (block["bbox"]["page"], block["content"])
        for chunk in parsed.result["chunks"]
        for block in chunk["blocks"]
    ]
    assert found == [(n, f"{what} {n}") for n in (1, 2) for what in ("Title", "Body", "Note")]


@pytest.mark.skipif(INSTALLED is None, reason="LibreOffice is not installed")
def test_the_real_program_says_that_it_can_not_open_a_broken_file(tmp_path: Path) -> None:
    """Which is the document's own fault."""
    assert problem(slides_of_old(tmp_path / "a.ppt")).name == "DOCUMENT_CORRUPT"
