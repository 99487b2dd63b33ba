"""Read invitations (iCalendar, RFC 5545): what, when, where and who, as one block."""

from __future__ import annotations

import re
from typing import Final

from batcher.service.parsing.pages import PageBlock

_SHOWN: Final = {
    "SUMMARY": "Summary",
    "DTSTART": "Start",
    "DTEND": "End",
    "DUE": "Due",
    "LOCATION": "Location",
    "ORGANIZER": "Organizer",
    "ATTENDEE": "Attendee",
    "DESCRIPTION": "Description",
}
_FOLD: Final = re.compile(r"\r?\n[ \t]")
_LINE: Final = re.compile(r"([A-Za-z-]+)((?:;[^:\"]*(?:\"[^\"]*\"[^:\"]*)*)?):(.*)")
_NAME: Final = re.compile(r";CN=(?:\"([^\"]*)\"|([^;:]*))", re.IGNORECASE)
_STAMP: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")


def calendar_block(text: str, *, without: str = "") -> PageBlock:
    """Return the events of a calendar as a block of names and values, but the one `without`."""
    events: list[str] = []
    part = ""
    for line in _FOLD.sub("", text).splitlines():
        if line.upper().startswith("BEGIN:"):
            part = line[6:].strip().upper()
        elif part in ("VEVENT", "VTODO", "VJOURNAL") and (found := _LINE.match(line)):
            name = found[1].upper()
            if name != without:
                events += _shown(name, found[2], found[3])
    return PageBlock("Key Value", "\n".join(events))


def _shown(name: str, parameters: str, value: str) -> list[str]:
    if name not in _SHOWN or not value.strip():
        return []
    if name in ("ORGANIZER", "ATTENDEE"):
        address = value.strip().removeprefix("mailto:").removeprefix("MAILTO:")
        named = _NAME.search(parameters)
        called = (named[1] or named[2] or "") if named else ""
        value = f"{called} <{address}>" if called and called != address else address
    elif name.startswith(("DTSTART", "DTEND", "DUE")):
        value = _STAMP.sub(_moment, value)
    else:
        value = re.sub(r"\\([\\;,nN])", lambda found: "\n" if found[1] in "nN" else found[1], value)
    return [f"{_SHOWN[name]}: {value.strip()}"]


def _moment(stamp: re.Match[str]) -> str:
    day = f"{stamp[1]}-{stamp[2]}-{stamp[3]}"
    if not stamp[4]:
        return day
    return f"{day} {stamp[4]}:{stamp[5]}{' UTC' if stamp[6] else ''}"
