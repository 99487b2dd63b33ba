"""Write amounts for people: money, bytes, durations, numbers of things. Pure."""

from __future__ import annotations


def pluralize(number: float, thing: str) -> str:
    """Return a number with its noun, as in 1 document, 2 documents, 2.5 credits."""
    return f"{number:.12g} {thing}{'' if number == 1 else 's'}"


def format_credits(amount: float) -> str:
    """Return a number of credits with its noun, rounded as money is: at most two decimals.

    Below half a hundredth it has two significant digits.
    """
    amount = round(amount, 2) if abs(amount) >= 0.005 else float(f"{amount:.2g}")
    return pluralize(amount, "credit")


def format_usd(amount: float) -> str:
    """Return an amount in US dollars, with two significant digits below half a cent."""
    return f"${amount:,.2f}" if amount >= 0.005 or not amount else f"${amount:.2g}"


def format_bytes(amount: int) -> str:
    """Return a number of bytes in decimal units, as in 1.5 MB."""
    for unit, worth in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if amount >= worth:
            return f"{amount / worth:,.1f} {unit}"
    return f"{amount} bytes"


def format_duration(seconds: float) -> str:
    """Return a duration as in 300 ms, 1.5 s, 40 s, 12 min, 3 h 20 min, 2 days."""
    if 0 < seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 59.5:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{minutes / 1440:.3g} days"
