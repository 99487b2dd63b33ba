"""Names: reversible, inside the output directory, and the same for the same document."""

from hypothesis import given
from hypothesis import strategies as st

from batcher.common.names import (
    LONGEST_PATH,
    content_key,
    elsewhere,
    name_of,
    output_name,
    path_of,
    settled,
    with_tag,
)

PATHS = st.lists(
    st.binary(min_size=1, max_size=300).filter(lambda b: b"/" not in b and b"\0" not in b),
    min_size=1,
    max_size=4,
)


@given(PATHS)
def test_a_name_turns_back_into_the_very_same_bytes(parts: list[bytes]) -> None:
    """Whatever bytes a file system holds, the ledger's text for them is reversible."""
    raw = b"/".join(parts)
    assert path_of(name_of(raw)) == raw
    assert name_of(raw).encode().isascii() or name_of(raw).isprintable()


@given(PATHS)
def test_an_output_stays_inside(parts: list[bytes]) -> None:
    """No output climbs out, is absolute, too long, or lands in batcher's own folder."""
    output = output_name(name_of(b"/".join(parts)))
    for place in (output, with_tag(output, "0123abcd")):
        components = path_of(place).split(b"/")
        assert all(c not in (b"", b".", b"..") and len(c) <= 255 for c in components)
        assert not components[0].startswith(b".batcher")


def test_plain_names_stay_as_they_are() -> None:
    """Readable paths are kept readable."""
    assert name_of("inbox/Grüße 2026.pdf".encode()) == "inbox/Grüße 2026.pdf"
    assert output_name("inbox/Grüße 2026.pdf") == "inbox/Grüße 2026.pdf.json"


def test_long_names_that_differ_at_the_end_get_different_outputs() -> None:
    """What is cut off is told apart by a hash."""
    assert output_name("x" * 254 + "a") != output_name("x" * 254 + "b")


def test_a_path_too_long_for_the_system_is_told_apart_by_a_hash() -> None:
    """Its first folders and its own name stay; two documents of one folder stay together, of two
    folders apart.
    """
    deep = ["/".join([*["f" * 240] * 16, folder]) for folder in ("a", "b")]
    outputs = [output_name(f"{folder}/{name}.txt") for folder in deep for name in "xy"]
    assert len(set(outputs)) == 4
    assert all(len(output.encode()) <= LONGEST_PATH for output in outputs)
    assert [output.rpartition("/")[2] for output in outputs] == ["x.txt.json", "y.txt.json"] * 2
    assert [
        len({output.rpartition("/")[0] for output in pair}) for pair in (outputs[:2], outputs[2:])
    ] == [1, 1]
    assert outputs[0].startswith("f" * 240 + "/")
    longest = "/".join(["ü" * 100] * 14 + ["x" * 180])
    assert output_name(longest) == longest + ".json"


def test_another_place_for_a_result_lies_in_no_folder() -> None:
    """One that reads like the first, and one that any file system takes; the same each time, and no
    other's.
    """
    first, plain = elsewhere("a/b.txt.json")
    assert first.startswith("b.txt.") and first.endswith(".json")
    assert len(plain) == 21
    assert elsewhere("a/b.txt.json") == (first, plain)
    assert not {first, plain} & set(elsewhere("c/b.txt.json"))


def test_the_same_bytes_under_another_type_are_another_document() -> None:
    """The service reads by extension, in whatever case it is written."""
    assert content_key("ab", "x.PDF") == content_key("ab", "y.pdf") != content_key("ab", "x.txt")


def test_a_young_file_waits_and_one_from_the_future_does_not() -> None:
    """A file may still be being copied; a wrong clock must not hold it back for ever."""
    assert not settled(int(99.5e9), now=100.0)
    assert settled(int(90e9), now=100.0) and settled(int(900e9), now=100.0)
