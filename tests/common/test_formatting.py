"""Amounts, as people read them."""

from batcher.common.formatting import format_bytes, format_duration, format_usd, pluralize


def test_one_is_not_many() -> None:
    """Nor is nothing."""
    assert [pluralize(n, "page") for n in (0, 1, 2)] == ["0 pages", "1 page", "2 pages"]


def test_sizes_are_said_in_the_unit_that_fits() -> None:
    """A note of three bytes isn't 0.0 kB."""
    assert [format_bytes(n) for n in (3, 2_500, 103_400, 7_000_000, 2_000_000_000)] == [
        "3 bytes",
        "2.5 kB",
        "103.4 kB",
        "7.0 MB",
        "2.0 GB",
    ]


def test_small_sums_keep_their_digits() -> None:
    """A tenth of a cent isn't nothing."""
    assert [format_usd(sum_) for sum_ in (0, 0.0012, 0.43, 1234.5)] == [
        "$0.00",
        "$0.0012",
        "$0.43",
        "$1,234.50",
    ]


def test_spans_are_said_as_people_do() -> None:
    """From milliseconds to days, each in the unit that fits once it is rounded."""
    assert [format_duration(s) for s in (0, 0.1, 0.9999, 1, 1.24, 9.99, 40, 59.7)] == [
        "0 s",
        "100 ms",
        "1 s",
        "1 s",
        "1.2 s",
        "10 s",
        "40 s",
        "1 min",
    ]
    assert [format_duration(s) for s in (720, 12000, 43200, 172800, 216000)] == [
        "12 min",
        "3 h 20 min",
        "12 h",
        "2 days",
        "2.5 days",
    ]
