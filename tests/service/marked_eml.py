"""A mail with a marker word in each place where a mail program shows text."""

from __future__ import annotations

import base64
import quopri
from typing import Final

PLACES: Final = (
    "subject",
    "sender",
    "recipient",
    "second recipient",
    "copy",
    "blind copy",
    "first text",
    "HTML of the alternative",
    "div in the HTML",
    "quoted reply",
    "text after the picture",
    "name of a picture",
    "inline text attachment",
    "inline HTML attachment",
    "enriched text",
    "subject of the forwarded",
    "sender of the forwarded",
    "text of the forwarded",
    "subject of the innermost",
    "text of the innermost",
    "name of an attachment of the forwarded",
    "invitation",
    "place of the invitation",
    "guest of the invitation",
    "delivery report",
    "signed text",
    "last text",
    "name of an attachment",
    "name in RFC 2231",
    "name in encoded words",
    "attachment of an alternative not chosen",
)


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the mail, and the marker that stands in each place, once."""
    markers = {place: f"marker{number:03d}" for number, place in enumerate(PLACES)}
    head = (
        f"Subject: =?utf-8?q?{markers['subject']}_=C3=BC?=\n"
        f'From: "{markers["sender"]}" <a@example.org>\n'
        f"To: {markers['recipient']}@example.org,\n {markers['second recipient']}@example.org\n"
        f"Cc: =?koi8-r?b?{_base64(markers['copy'])}?= <c@example.org>\n"
        f"Bcc: {markers['blind copy']}@example.org\n"
    )
    return (head + _mixed("outer", _parts(markers))).encode(), markers


def _parts(m: dict[str, str]) -> list[str]:
    body = (
        f"<p>{m['HTML of the alternative']}</p><div>{m['div in the HTML']}</div>"
        f"<blockquote type=cite>{m['quoted reply']}</blockquote><img src='cid:1'>"
    )
    related = _mixed(
        "related",
        [
            _part("text/html; charset=iso-8859-1", body),
            _part(f'image/png; name="{m["name of a picture"]}.png"', "AAAA"),
        ],
        kind="related",
    )
    plain = _mixed(
        "plain",
        [
            _part("text/plain", "not the chosen one"),
            _attachment("application/pdf", f'"{m["attachment of an alternative not chosen"]}.pdf"'),
        ],
    )
    forwarded = (
        f"Subject: {m['subject of the forwarded']}\n"
        f"From: {m['sender of the forwarded']}@example.org\n"
        + _mixed(
            "forwarded",
            [
                _part("text/plain", m["text of the forwarded"]),
                _attachment("image/gif", f"{m['name of an attachment of the forwarded']}.gif"),
                "Content-Type: message/rfc822\nContent-Disposition: attachment\n\n"
                f"Subject: {m['subject of the innermost']}\n\n{m['text of the innermost']}\n",
            ],
        )
    )
    place = m["place of the invitation"]
    calendar = (
        "BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nDTSTART:16010101T000000\nEND:VTIMEZONE\nBEGIN:VEVENT\n"
        f"SUMMARY:{m['invitation']}\nDTSTART;TZID=Berlin:20260302T140000\n"
        f"LOCATION:Hall\\, {place[:4]}\n {place[4:]}\n"
        f"ATTENDEE;CN={m['guest of the invitation']};RSVP=TRUE:mailto:g@example.org\n"
        "END:VEVENT\nEND:VCALENDAR"
    )
    report = f"Reporting-MTA: dns; example.org\n\nDiagnostic-Code: {m['delivery report']}\n"
    signed = _mixed(
        "signed",
        [
            _part("text/plain", m["signed text"]),
            _part("application/pgp-signature; name=signature.asc", "AAAA"),
        ],
        kind="signed",
    )
    inline = "Content-Disposition: inline; filename=a.txt\n"
    return [
        _part("text/plain; charset=utf-8", m["first text"]),
        _mixed("alternative", [plain, related], kind="alternative"),
        _part("text/plain", m["text after the picture"]),
        inline + _part("text/plain", m["inline text attachment"]),
        inline + _encoded("text/html", f"<span>{m['inline HTML attachment']}</span>"),
        _part("text/enriched", f"<bold>x</bold> <<{m['enriched text']}"),
        f"Content-Type: message/rfc822\n\n{forwarded}",
        _encoded("text/calendar; method=REQUEST", calendar),
        f"Content-Type: message/delivery-status\n\n{report}",
        signed,
        _part("text/plain; format=flowed", m["last text"]),
        _attachment("application/pdf", f'"{m["name of an attachment"]}.pdf"'),
        _attachment("text/csv", f"x\n filename*=utf-8''{m['name in RFC 2231']}%20%C3%BC.csv"),
        _attachment("text/plain", f'"=?utf-8?q?{m["name in encoded words"]}=2Etxt?="'),
    ]


def _part(kind: str, content: str) -> str:
    return f"Content-Type: {kind}\n\n{content}\n"


def _encoded(kind: str, content: str) -> str:
    return (
        f"Content-Transfer-Encoding: quoted-printable\nContent-Type: {kind}\n\n"
        f"{quopri.encodestring(content.encode()).decode()}\n"
    )


def _attachment(kind: str, name: str) -> str:
    # a parameter of RFC 2231 takes the place of the plain name
    given = f"filename={name}" if "\n" not in name else name.partition("\n")[2].strip()
    return (
        f"Content-Disposition: attachment; {given}\nContent-Type: {kind}\n"
        f"Content-Transfer-Encoding: base64\n\n{_base64('content of it')}\n"
    )


def _mixed(boundary: str, parts: list[str], *, kind: str = "mixed") -> str:
    inner = "".join(f"--{boundary}\n{part}\n" for part in parts)
    return (
        f"Content-Type: multipart/{kind}; boundary={boundary}\n\n"
        f"not shown by any program\n{inner}--{boundary}--\n"
    )


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
