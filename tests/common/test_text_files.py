"""Text files as people's programs write them: marks, encodings, ends of lines."""

import codecs
import json
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.common.names import path_of
from batcher.common.text_files import Lines, NotText, text_of
from batcher.errors import ManifestError, SourceUnreadableError
from batcher.manifest.loading import load
from batcher.manifest.model import Source
from batcher.reducto.api_types import HOSTED_TYPES
from batcher.sources import listing as listings
from batcher.sources.directory import IGNORE_LIMIT, walk
from batcher.sources.passwords import Passwords

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": str.encode,
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16, little endian": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-32, little endian": lambda text: codecs.BOM_UTF32_LE + text.encode("utf-32-le"),
    "UTF-32, big endian": lambda text: codecs.BOM_UTF32_BE + text.encode("utf-32-be"),
    "lines as Windows ends them": lambda text: text.replace("\n", "\r\n").encode(),
    "UTF-16 as Windows ends lines": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
}
every_encoding = pytest.mark.parametrize("written", ENCODINGS.values(), ids=ENCODINGS)


@every_encoding
def test_a_manifest_and_its_schema_are_read_in_any_encoding(
    written: Callable[[str], bytes], tmp_path: Path
) -> None:
    """What they say is what they say."""
    (tmp_path / "in").mkdir()
    (tmp_path / "s.json").write_bytes(
        written(json.dumps({"type": "object", "title": "Ü"}, ensure_ascii=False))
    )
    job = '[job]\nendpoint = "extract"\nschema_file = "s.json"\n'
    text = f'batch = "Büro"\n[source]\ndirectory = "in"\n{job}[output]\ndirectory = "out"\n'
    (tmp_path / "m.toml").write_bytes(written(text))
    manifest = load(tmp_path / "m.toml")
    assert manifest.batch == "Büro"
    assert manifest.jobs[0].options["instructions"]["schema"]["title"] == "Ü"


@every_encoding
def test_an_ignore_file_counts_in_any_encoding(
    written: Callable[[str], bytes], tmp_path: Path
) -> None:
    """From its first line to its last."""
    for name in ("secret.txt", "Entwürfe.txt", "keep.txt", "last.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".batcherignore").write_bytes(written("secret.txt\nEntwürfe.txt\nlast.txt"))
    assert taken(tmp_path) == ["keep.txt"]


@every_encoding
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_listing_is_read_in_any_encoding(
    written: Callable[[str], bytes], kind: str, tmp_path: Path
) -> None:
    """Row by row as a stream, and each row again by its place."""
    listing = tmp_path / f"docs.{kind}"
    # with bytes like a newline's
    ids = [
        "ä",
        "\u010a",
        "\u0a0a",
        "\u0a05",
        "\U0001040a",
        '"q\n"',
        "z",
    ]
    listing.write_bytes(
        written(LISTED[kind]([(id, f"https://h/{n}.pdf") for n, id in enumerate(ids)]))
    )
    found = list(listings.walk(listing, {"parse": "parse"}))
    assert [path_of(one.name).decode().replace("\r", "") for one in found] == ids
    for number, one in enumerate(found):
        assert listings.address(listing, str(one.place), one.name) == f"https://h/{number}.pdf"


def _csv(rows: list[tuple[str, str]]) -> str:
    return "id,url\n" + "".join('"{}",{}\n'.format(id.replace('"', '""'), url) for id, url in rows)


def _jsonl(rows: list[tuple[str, str]]) -> str:
    return "\n\n".join(json.dumps({"id": id, "url": url}, ensure_ascii=False) for id, url in rows)


LISTED = {"csv": _csv, "jsonl": _jsonl}


@every_encoding
@pytest.mark.parametrize(
    ("name", "text"), [("p.txt", "päss\nzwei\n"), ("p.csv", "path,password\n,päss\n,zwei\n")]
)
def test_passwords_are_read_in_any_encoding(
    written: Callable[[str], bytes], name: str, text: str, tmp_path: Path
) -> None:
    """As lines and as a table."""
    (tmp_path / name).write_bytes(written(text))
    source = Source(directory=tmp_path, passwords_file=tmp_path / name)
    passwords = Passwords([source], where="m.toml")
    assert passwords.of(str(tmp_path), "a.pdf") == ("päss", "zwei")
    passwords.close()


@pytest.mark.parametrize(
    "raw", ["Büro\n".encode("latin-1"), "Büro\n".encode("utf-16-le"), b"\xff\xfex"]
)
def test_another_encoding_is_refused_by_file_and_line(raw: bytes, tmp_path: Path) -> None:
    """Never guessed at, for what is misread may be paid for; and no part of a password is shown."""
    (tmp_path / "in").mkdir()
    good = '[source]\ndirectory = "in"\n[output]\ndirectory = "out"\n'
    (tmp_path / "m.toml").write_bytes(raw if raw[:1] == b"\xff" else b"# one\n" + raw)
    with pytest.raises(ManifestError, match=r"m\.toml: line \d: .*UTF-"):
        load(tmp_path / "m.toml")
    (tmp_path / "p.txt").write_bytes(raw)
    with pytest.raises(ManifestError, match=r"p\.txt: it isn.t UTF-8 in line 1") as caught:
        Passwords([Source(directory=tmp_path, passwords_file=tmp_path / "p.txt")], where="m.toml")
    assert "0x" not in str(caught.value)
    (tmp_path / "s.json").write_bytes(raw)
    (tmp_path / "m.toml").write_text(f'{good}[job]\nendpoint = "extract"\nschema_file = "s.json"\n')
    with pytest.raises(ManifestError, match=r"s\.json: line 1"):
        load(tmp_path / "m.toml")
    (tmp_path / ".batcherignore").write_bytes(raw)
    with pytest.raises(SourceUnreadableError, match=r"\.batcherignore: line 1"):
        taken(tmp_path)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_row_in_another_encoding_is_refused_by_its_line_and_the_others_are_read(
    kind: str, tmp_path: Path
) -> None:
    """One slip in a long listing is told with all other slips."""
    listing = tmp_path / f"docs.{kind}"
    whole = LISTED[kind](
        [("a", "https://h/a"), ("ü", "https://h/b"), ("c", "https://h/c")]
    ).replace("\n\n", "\n")
    listing.write_bytes(whole.encode("latin-1"))
    with pytest.raises(
        ManifestError, match=rf"line {3 if kind == 'csv' else 2}: byte 0xfc is not UTF-8"
    ):
        listings.check(listing, {"parse": "parse"})
    assert [found.name for found in listings.walk(listing, {"parse": "parse"})] == ["a", "c"]


def test_a_long_ignore_file_is_read_or_refused_with_its_size(tmp_path: Path) -> None:
    """Of two patterns that contradict each other the last one counts, however often each stands
    there.
    """
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text("x")
    ignore = tmp_path / ".batcherignore"
    ignore.write_text("*.txt\n!b.txt\n" + "nothing\n" * 200_000 + "*.txt\n!a.txt\nb.txt\n")
    assert taken(tmp_path) == ["a.txt"]
    os.truncate(ignore, IGNORE_LIMIT + 1)
    with pytest.raises(SourceUnreadableError, match="16,777,217 bytes"):
        taken(tmp_path)


@given(st.text(), st.sampled_from(list(ENCODINGS.values())))
def test_lines_are_those_of_the_whole_text(text: str, written: Callable[[str], bytes]) -> None:
    """Read one by one or all at once, and each again from where it began."""
    raw = written(text)
    try:
        whole = text_of(raw)
    except NotText:
        assert "\0" in text
        return
    with NamedTemporaryFile() as file:
        file.write(raw)
        file.seek(0)
        lines = Lines(file)
        read = list(zip(iter(lambda: lines.offset, -1), lines, strict=False))
        assert "".join(line for _, line in read).replace("\r\n", "\n").replace("\r", "\n") == whole
        for offset, line in read:
            file.seek(offset)
            assert next(Lines(file, lines.encoding)) == line


def taken(folder: Path) -> list[str]:
    source = Source(directory=folder)
    return [
        found.name for found in walk(source, skip=folder / "out", types=HOSTED_TYPES, now=1.8e9)
    ]
