"""What somebody meets in the first hour: the demo, and words that were not quite the right ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from commandline import batcher, rows, start

from batcher.cli import main
from batcher.common.missing_paths import instead_of

ROOT = Path(__file__).parents[2]


async def test_the_demo_runs_in_a_folder_of_its_own_and_touches_no_other(tmp_path: Path) -> None:
    """All documents are saved, and each command it names next can be typed as it stands."""
    folder = tmp_path / "a demo"
    said = await batcher("demo", "-o", folder, key=None)
    documents = [path for path in (ROOT / "examples" / "documents").rglob("*") if path.is_file()]
    assert said.code == 0, said.err
    assert f"{len(documents)} saved" in said.err
    assert f"batcher run '{folder / 'quickstart.toml'}'" in said.err
    assert rows(folder / "results", "SELECT count(*) FROM attempts") == [(len(documents),)]
    named = next(
        line.split("  one of")[0].strip() for line in said.err.splitlines() if ".md" in line
    )
    assert "INV-2026-001" in Path(named).read_text("utf-8")
    assert str(ROOT) not in (folder / "quickstart.toml").read_text("utf-8")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    again = await batcher("demo", "-o", folder, key=None)
    assert again.code == 2 and "is there already; batcher run '" in again.err
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_the_demo_overwrites_nothing(tmp_path: Path) -> None:
    """Neither a file nor a folder with something in it."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for taken in ("mine", "mine/notes.txt"):
        code, said = say("demo", "-o", str(tmp_path / taken))
        assert code == 2 and "name another folder with --output" in said
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def say(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, words)
    return done.exit_code, done.output


OUT = ("-o", "out")
INSTEAD = {
    "a misspelt command": (("stauts",), "did you mean batcher status?"),
    "another program's command": (("resume",), "did you mean batcher run?"),
    "a word that means nothing": (("frobnicate",), "batcher --help lists all"),
    "a folder without a command": (("inbox",), "batcher run inbox -o results"),
    "a manifest without a command": (("nightly.toml",), "batcher run nightly.toml"),
    "a misspelt folder": (("run", "./inbocks", *OUT), "did you mean inbox?"),
    "a misspelt manifest": (("run", "nigthly.toml"), "did you mean nightly.toml?"),
    "a manifest without its extension": (("status", "nightly"), "did you mean nightly.toml?"),
    "a folder in a manifest": (("plan", "nightly.toml"), "did you mean"),
    "a tilde in quotes": (("run", "~/inbox", *OUT), "without quotes"),
    "a document with an output": (
        ("run", "inbox/letter.txt", *OUT),
        "-S 'source.include=[\"/letter.txt\"]'",
    ),
    "a document as a manifest": (("run", "inbox/letter.txt"), "or a directory of documents"),
    "a range backwards": (
        ("plan", "inbox", *OUT, "-S", 'source.include=["[z-a].pdf"]'),
        "'[z-a].pdf' is no pattern",
    ),
    "a shell's braces": (
        ("plan", "inbox", *OUT, "-S", 'source.include=["*.{pdf,txt}"]'),
        "write one for each",
    ),
    "a path for a pattern": (
        ("plan", "inbox", *OUT, "-S", 'source.exclude=["./letter.txt"]'),
        "leave out what stands before its name",
    ),
    "an endpoint for a service": (("run", "inbox", *OUT, "--service", "parse"), "--endpoint parse"),
    "a service for an endpoint": (
        ("run", "inbox", *OUT, "--endpoint", "reducto"),
        "--service reducto",
    ),
    "an address without its scheme": (
        ("run", "inbox", *OUT, "--service", "platform.reducto.ai"),
        "begins with https://",
    ),
    "an endpoint for a service of init": (
        ("init", "new.toml", "--service", "extract"),
        "--endpoint extract",
    ),
    "a misspelt service of init": (
        ("init", "new.toml", "--service", "reduct"),
        "did you mean reducto?",
    ),
    "an unknown fault": (
        ("run", "inbox", *OUT, "--chaos", "foo=1"),
        "known are lost-reply",
    ),
}


@pytest.mark.parametrize("name", INSTEAD)
def test_words_that_are_not_quite_right_are_answered_with_those_that_are(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, with what was probably meant; nothing is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "letter.txt").write_text("letter")
    (tmp_path / "nightly.toml").write_text(
        '[source]\ndirectory = "inbux"\n[output]\ndirectory = "out"\n'
    )
    words, hint = INSTEAD[name]
    code, said = say(*words)
    assert code == 2
    assert hint in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inbox", "nightly.toml"]


def test_what_may_have_been_meant_is_there(tmp_path: Path) -> None:
    """Folders of the way are put right too; a file is not suggested for a folder."""
    (tmp_path / "Archive" / "letters").mkdir(parents=True)
    (tmp_path / "notes").touch()
    assert instead_of(tmp_path / "archiv" / "leters") == (
        f"did you mean {tmp_path / 'Archive' / 'letters'}?"
    )
    assert instead_of(tmp_path / "archiv" / "invoices") == ""
    assert instead_of(tmp_path / "note") and not instead_of(tmp_path / "note", folder=True)


def test_init_names_the_folder_that_is_still_to_come(tmp_path: Path) -> None:
    code, said = say("init", str(tmp_path / "new.toml"), "--directory", "inbox")
    assert code == 0
    assert f"put documents into {tmp_path / 'inbox'}, then batcher plan" in said


@pytest.mark.parametrize("words", [("run",), ("plan", "--check")])
async def test_a_service_that_does_not_answer_is_told_while_it_is_waited_for(
    words: tuple[str, ...], inbox: Path, out: Path
) -> None:
    """Before the command gives up, with why."""
    command, *flags = words
    process = await start(command, inbox, *flags, "-o", out, "--service", "http://127.0.0.1:9")
    assert process.stderr is not None
    lines = process.stderr
    said = (await lines.readline()).decode()
    if "begins" in said:
        said = (await lines.readline()).decode()
    assert process.returncode is None
    process.kill()
    await process.communicate()
    assert "no answer from the service yet (Cannot connect" in said


async def test_a_check_waits_five_seconds_for_an_answer(inbox: Path, out: Path) -> None:
    """Somebody sits there; the patience of a night's run is for the run."""
    said = await batcher("plan", inbox, "--check", "-o", out, "--service", "http://127.0.0.1:9")
    assert said.code == 4
    assert "no first answer within 5 s: Cannot connect" in said.err


async def test_an_empty_file_comes_with_advice(words: tuple[object, ...], inbox: Path) -> None:
    shutil.rmtree(inbox / "1")
    (inbox / "blank.pdf").touch()
    await batcher(*words)
    said = await batcher("failures", words[3])
    assert "there is nothing in it" in said.out and 'min_size = "1B"' in said.out
    left = await batcher(*words, "-S", "source.min_size=1B")
    assert left.code == 0
