"""Remove secrets from text before it is stored or shown: passwords, keys, tokens, signatures. Pure.

A service may quote what it was sent, in whatever form it got it. `redact_urls` removes what looks
like a secret, wherever it is; `Secrets` removes those that a run knows, however they are escaped.
The part of an address before its query is a document's name and stays. A secret of fewer than four
characters is removed only after its name, as it would otherwise be cut out of ordinary words.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from html.entities import codepoint2name
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, unquote_plus, urlsplit

SHORTEST: Final = 4  # characters; a shorter secret is removed only after its name
SHORT: Final = 8  # characters; a shorter one is removed only as a whole word
LONG: Final = 16  # characters; one at least as long is found across line breaks too
# Secrets of single submissions that are remembered: more than are in flight at a time.
PASSING: Final = 8192
CUT: Final = "…"

# --- what looks like a secret ---------------------------------------------------------------------

# An address loses its query, its fragment and its user. A query may go on after a line break inside
# it.
_BROKEN: Final = r"(?:\s+(?=\S*[=&]|\S*%[0-9a-f]{2}|(?=\S*\d)[\w+/-]{20})[^\s\"'<>]+)*"
_QUERY: Final = re.compile(
    rf"(\b[a-z][a-z0-9+.-]*:\\*/\\*/[^\s\"'<>?#]+)[?#][^\s\"'<>]*{_BROKEN}", re.IGNORECASE
)
_ENCODED: Final = re.compile(
    r"(\b[a-z][a-z0-9+.-]*%(?:25)*3a(?:%(?:25)*2f){2}[^\s\"'<>]*?)%(?:25)*(?:3f|23)[^\s\"'<>]*",
    re.IGNORECASE,
)
_USER: Final = re.compile(r"(\b[a-z][a-z0-9+.-]*:\\*/\\*/)[^\s\"'<>/\\?#@]+@", re.IGNORECASE)
_NAMES: Final = (
    r"x-(?:amz|goog|ms|oss)-(?:signature|credential|security-token)|(?:aws|oss)accesskeyid|googleaccessid"
    r"|signature|sig|hmac|key-pair-id|(?:\w+_)?token|auth|jwt|api[_-]?key|(?:\w+_)?secret|(?:\w+_)?password"
)
_PARAMETER: Final = re.compile(
    rf"((?<![a-z0-9])(?:{_NAMES})(?:=|%(?:25)*3d))(?!{CUT})[^\s\"'<>&]+", re.IGNORECASE
)
_MEMBER: Final = re.compile(
    rf"(?P<name>(?P<quote>\\*[\"'])(?:{_NAMES}|authorization)(?P=quote)\s*:\s*)"
    # In a JSON string inside another, each backslash and quote has backslashes of its own: one,
    # then three …
    r"(?P<open>(?P<deep>\\*)(?P<mark>[\"']))(?:(?P=deep)\\(?:(?P=deep)\\|(?P=deep)(?P=mark)|.)|(?!(?P=open)).)*+"
    r"(?:(?P=open)|\Z)",
    re.IGNORECASE,
)
_PASSWORD: Final = re.compile(r"(\bdocument_password\s*:\s*)[^\s\"'…]+", re.IGNORECASE)
_BEARER: Final = re.compile(r"(\bbearer\s+)(?=\S*\d)[^\s\"'<>]{8,}", re.IGNORECASE)


def redact_urls(words: str) -> str:
    """Return text from elsewhere without queries of addresses, signatures, passwords and tokens."""
    words = _ENCODED.sub(rf"\1?{CUT}", _QUERY.sub(rf"\1?{CUT}", words))
    words = _USER.sub(rf"\1{CUT}@", words)
    words = _MEMBER.sub(rf"\g<name>\g<open>{CUT}\g<open>", words)
    for pattern in (_PARAMETER, _PASSWORD, _BEARER):
        words = pattern.sub(rf"\1{CUT}", words)
    return words


# --- what is known to be one ----------------------------------------------------------------------


class Secrets:
    """The secrets of one run.

    Text from elsewhere passes through `cut` or `clean` before it enters the ledger, the terminal, a
    log or a message.
    """

    def __init__(self) -> None:
        self._known: dict[str, str] = {}  # secret: what replaces it
        self._by_beginning: dict[str, set[str]] = {}
        self._passing: dict[str, None] = {}  # in order of arrival

    def __repr__(self) -> str:
        return "Secrets(…)"

    def keep(self, secrets: Iterable[str], called: str) -> None:
        """Remember secrets for the whole run; `[called]` replaces them."""
        for secret in secrets:
            if len(secret) >= SHORTEST and not secret.isspace():
                self._passing.pop(secret, None)
                self._learn(secret, f"[{called}]")

    def keep_address(self, url: str) -> None:
        """Remember the secret parts of an address, which the service may quote without the rest."""
        self.keep_for_now(_secrets_in(url))

    def keep_for_now(self, secrets: Iterable[str]) -> None:
        """Remember secrets of one submission, until thousands of others have been sent after it."""
        for secret in secrets:
            if secret not in self._known:
                self._learn(secret, CUT)
                self._passing[secret] = None
        while len(self._passing) > PASSING:
            self._forget(next(iter(self._passing)))

    def cut(self, words: str) -> str:
        """Return `words` without known secrets, and without what looks like one."""
        if self._known:
            views = _views(words)
            squeezed = "\0".join("".join(view.split()) for view in views)
            for secret in self._candidates(squeezed):
                words = _without(words, secret, self._known[secret], views=views, squeezed=squeezed)
        return redact_urls(words)

    def _learn(self, secret: str, instead: str) -> None:
        self._known[secret] = instead
        self._by_beginning.setdefault(_beginning(secret), set()).add(secret)

    def _forget(self, secret: str) -> None:
        del self._passing[secret], self._known[secret]
        self._by_beginning[_beginning(secret)].discard(secret)

    def _candidates(self, squeezed: str) -> list[str]:
        """Return the known secrets whose first characters occur, the longest first.

        A run may know a hundred thousand secrets, so they aren't all searched for.
        """
        found = set[str]()
        for start in range(len(squeezed)):
            for length in range(1, SHORTEST + 1):
                found |= self._by_beginning.get(squeezed[start : start + length], set())
        return sorted(found, key=lambda secret: (-len(secret), secret))

    def clean(self, error: BaseException) -> None:
        """Remove secrets from the texts of `error`, its causes and its group."""
        seen = set[int]()
        todo = [error]
        while todo:
            one = todo.pop()
            if id(one) in seen:
                continue
            seen.add(id(one))
            self._clean(one)
            todo += [other for other in (one.__cause__, one.__context__) if other is not None]
            todo += one.exceptions if isinstance(one, BaseExceptionGroup) else ()

    def _clean(self, error: BaseException) -> None:
        if not isinstance(error, OSError):  # an OSError's text is made of its number and its file
            error.args = tuple(
                self.cut(told) if isinstance(told, str) else told for told in error.args
            )
        error.__dict__.update(
            {name: self.cut(told) for name, told in vars(error).items() if isinstance(told, str)}
        )


_NO_SECRETS: Final = re.compile(
    r"x-(amz|goog)-(algorithm|date|expires|signedheaders)|expires", re.IGNORECASE
)
_NAMED: Final = re.compile(_NAMES, re.IGNORECASE)
_RANDOM: Final = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w.~+=%-]{20,}")


def _secrets_in(url: str) -> Iterator[str]:
    """Yield the user's password, and query values that by name or form are secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    pairs = [
        *parse_qsl(parts.query),
        *parse_qsl(parts.fragment),
        ("password", unquote(parts.password or "")),
    ]
    for name, value in pairs:
        schedule = _NAMED.fullmatch(name) or _RANDOM.fullmatch(value)
        if len(value) >= SHORT and schedule and not _NO_SECRETS.fullmatch(name):
            yield value


def _views(words: str) -> list[str]:
    """Return `words` as they are and decoded from JSON, URL or HTML escapes, or two of them."""
    views = {words: None}
    for view in list(views):
        views |= {decode(view): None for decode in _DECODERS}
    for view in list(views):
        views |= {decode(view): None for decode in _DECODERS}
    return list(dict.fromkeys([*views, *(" ".join(view.split()) for view in views)]))


_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)


def _unescaped(words: str) -> str:
    if "\\" not in words:
        return words

    def plain(match: re.Match[str]) -> str:
        number = match[1] or match[2]
        return chr(int(number, 16)) if number else match[3]

    text = _ESCAPE.sub(plain, words)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_DECODERS: Final[tuple[Callable[[str], str], ...]] = (
    _unescaped,
    unquote,
    unquote_plus,
    html.unescape,
)


def _beginning(secret: str) -> str:
    return "".join(secret.split())[:SHORTEST]


def _without(words: str, secret: str, instead: str, *, views: list[str], squeezed: str) -> str:
    collapsed = " ".join(secret.split())
    if any(secret in view or collapsed in view for view in views):
        return _replaced(words, collapsed, instead)
    if len(secret) >= LONG and "".join(secret.split()) in squeezed:
        return _replaced(words, collapsed, instead)
    if CUT in words and len(secret) >= SHORT:
        return _without_beginning(words, secret, instead)
    return words


def _replaced(words: str, secret: str, instead: str) -> str:
    gap = r"\s*" if len(secret) >= LONG else ""
    pattern = gap.join(_any_form(character) for character in secret)
    if len(secret) < SHORT:
        return re.sub(rf"(?<![^\W_]){pattern}(?![^\W_])", lambda _: instead, words)
    left, times = re.subn(pattern, lambda _: instead, words)
    # otherwise it was part of a secret that is removed already
    if not times and instead not in words:
        return f"[words that quote {instead.strip('[]')}]"
    return left


def _without_beginning(words: str, secret: str, instead: str) -> str:
    """Remove the beginning of a secret where the text was cut short within it."""
    for form in {secret, quote(secret, safe=""), secret.replace("\\", "\\\\").replace('"', '\\"')}:
        for length in range(len(form) - 1, SHORTEST - 1, -1):
            words = words.replace(f"{form[:length]}{CUT}", f"{instead}{CUT}")
    return words


def _any_form(character: str) -> str:
    """Return a pattern for a character, plain or escaped, once or several times."""
    if character == " ":
        escaped = r"%(?:25)*(?:20|0[9ad])|\\+u00(?:20|0[9ad])|&(?:amp;)*#(?:x20|32);"
        return rf"(?:\s|\\+[nrtfv]|\+|(?i:{escaped}))+"
    code = ord(character)
    percent = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    utf16 = character.encode("utf-16-be", "surrogatepass")
    units = "".join(rf"\\+u{utf16[i]:02x}{utf16[i + 1]:02x}" for i in range(0, len(utf16), 2))
    entities = [
        f"#0*{code}",
        f"#x0*{code:x}",
        codepoint2name.get(code, ""),
        "apos" if character == "'" else "",
    ]
    entity = "|".join(filter(None, entities))
    byte = rf"|\\+x{code:02x}" if code < 256 else ""
    plain = r"\\+" if character == "\\" else re.escape(character)
    return rf"(?:\\*{plain}|\\*(?i:{percent}|&(?:amp;)*(?:{entity});)|(?i:{units}{byte}))"
