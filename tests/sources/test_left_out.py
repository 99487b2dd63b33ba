"""What a walk leaves out, in numbers and words."""

from batcher.sources.left_out import LeftOut, Reason


def test_types_are_told_by_extension_and_all_else_by_an_example() -> None:
    """The commonest first; one line for all of it, and nothing where nothing was left out."""
    left = LeftOut()
    assert left.words() == "" and left.values() == {}
    for name in ("a.tex", "b.TEX", "c.xml", "Makefile"):
        left.add(Reason.TYPE, name)
    left.add(Reason.LINK, "archive")
    assert left.words() == (
        "5 left out: 4 of other types (.tex 2 .xml 1 without any 1), 1 links to folders (archive)"
    )
    assert left.values()["reasons"] == {"type": 4, "link": 1}
    assert left.values()["extensions"] == {"tex": 2, "xml": 1, "": 1}


def test_two_sources_are_counted_together() -> None:
    """With the first example of each reason."""
    one = LeftOut()
    two = LeftOut()
    one.add(Reason.HIDDEN, ".a")
    two.add(Reason.HIDDEN, ".b")
    two.add(Reason.GROWING, "c")
    both = one + two
    assert both.counts == {Reason.HIDDEN: 2, Reason.GROWING: 1}
    assert both.examples == {Reason.HIDDEN: ".a", Reason.GROWING: "c"}


def test_patterns_that_fit_nothing_are_told_from_an_empty_folder_and_from_other_bounds() -> None:
    """Only where every file there was left out for its name are they a slip."""
    left = LeftOut()
    assert not left.is_all_unmatched
    left.add(Reason.NOT_INCLUDED, "a.txt")
    assert left.is_all_unmatched
    left.add(Reason.SMALL, "b.pdf")
    assert not left.is_all_unmatched
