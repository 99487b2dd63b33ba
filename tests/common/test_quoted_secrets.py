"""Foreign words that quote a secret: whatever form it comes in, nothing of it is left."""

import html
import json
import traceback
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from batcher.common.secrets import PASSING, Secrets, redact_urls
from batcher.errors import BadReply

SIGNATURE = "X-Amz-Signature=CANARY0123456789abcdef"
ADDRESS = f"https://bucket.s3.amazonaws.com/in/a%20b.pdf?X-Amz-Credential=CANARY%2F2026&{SIGNATURE}"
AWKWARD = 'CANARY "pa\\ss\'wörd" <&> %41 😀'

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "as JSON": json.dumps,
    "as JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "as JSON with its slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "as JSON within JSON": lambda text: json.dumps(json.dumps(text)),
    "for a URL": lambda text: quote(text, safe=""),
    "for a form": quote_plus,
    "for a URL in small letters": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "for a URL twice": lambda text: quote(quote(text, safe=""), safe=""),
    "for HTML": html.escape,
    "for HTML in numbers": lambda text: "".join(f"&#x{ord(c):X};" for c in text),
    "as JSON for HTML": lambda text: html.escape(json.dumps(text)),
    "as Python shows it": repr,
    "with one blank for several": lambda text: " ".join(text.split()),
}
# nobody writes an address so
LETTER_BY_LETTER = (
    "for HTML in numbers",
    "for a URL in small letters",
)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "password", ["CANARY-of-a-document", AWKWARD, "CANARY  two  blanks", "C4n&"]
)
def test_a_known_password_is_cut_out_in_every_form(password: str, form: str) -> None:
    """And what was said around it stays."""
    secrets = Secrets()
    secrets.keep([password], "a password")
    left = secrets.cut(f"the word {FORMS[form](password)} opens nothing")
    assert left.startswith("the word ")
    assert left.endswith(" opens nothing")
    assert left.count("[a password]") == 1
    assert len(left) < len("the word [a password] opens nothing") + 13, left


@pytest.mark.parametrize("form", [form for form in FORMS if form not in LETTER_BY_LETTER])
@pytest.mark.parametrize("scheme", ["https", "HTTPS", "http", "ftp", "s3"])
def test_a_signed_address_keeps_its_name_alone(scheme: str, form: str) -> None:
    """Whatever its scheme, and though nobody knows that it is one of ours."""
    address = f"{scheme}{ADDRESS.removeprefix('https')}"
    left = redact_urls(f"could not fetch {FORMS[form](address)} for you")
    assert "CANARY" not in left
    assert "bucket.s3.amazonaws.com" in left
    assert left.endswith("for you")


@pytest.mark.parametrize(
    "words",
    [
        f"bucket/in/a.pdf?a=1&{SIGNATURE}",
        f"403 of /in/a.pdf?{SIGNATURE}&b=2",
        f"{SIGNATURE} has expired",
        quote(SIGNATURE, safe=""),
        f"https://bucket/in/a.pdf?{SIGNATURE[:20]}\n{SIGNATURE}0123456789",
        "https://me:CANARY@host/a.pdf",
        "ftp://CANARY@host/a.pdf",
        "https://host/a.pdf#access_token=CANARY",
        '{"settings": {"document_password": "CANARY pw"}}',
        '"{\\"document_password\\": \\"CANARY pw\\"}"',
        "{'document_password': 'CANARY'}",
        "settings.document_password=CANARY",
        "document_password: CANARY",
        '"token":"CANARY"',
        "Authorization: Bearer CANARY01",
    ],
)
def test_what_looks_like_a_secret_is_cut_out(words: str) -> None:
    """Without its address, inside a body that is quoted, in a header."""
    assert "CANARY" not in redact_urls(words)


@pytest.mark.parametrize(
    "words",
    [
        "what? no address",
        "unexpected token: name",
        "DOCUMENT_PASSWORD_PROTECTED: no password is named for it",
        "https://host/a%23b.pdf: 404",
        "a bearer token is wanted",
        "GET /job: 500 INTERNAL_ERROR later",
    ],
)
def test_other_words_are_left_alone(words: str) -> None:
    """What is no secret is what a person needs."""
    assert Secrets().cut(words) == words


def test_what_was_cut_short_within_a_secret_keeps_nothing_of_it() -> None:
    """Long messages are, wherever that falls."""
    secrets = Secrets()
    secrets.keep(["CANARY-of-a-document"], "a password")
    for length in range(4, len("CANARY-of-a-document")):
        left = secrets.cut(f"the word {'CANARY-of-a-document'[:length]}…")
        assert left == "the word [a password]…"


@pytest.mark.parametrize("deep", [0, 1, 2])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_password_with_a_quote_in_it_is_cut_to_its_end(deep: int, is_whole: bool) -> None:
    """Though nobody knows it: of a request that is quoted in a string, in a string of that, or cut
    short within it.
    """
    words = json.dumps({"document_password": 'CANARY "two \\" CANARY', "page": 1})
    for _ in range(deep):
        words = json.dumps(words)
    if not is_whole:
        words = words[: words.rindex("CANARY") + 3]
    left = redact_urls(words)
    assert "CAN" not in left
    assert ("page" in left) is is_whole


def test_a_secret_broken_over_lines_is_found() -> None:
    """If it is long enough to be known again."""
    secrets = Secrets()
    secrets.keep(["CANARY0123456789abcdef"], "the key")
    assert secrets.cut("it is CANARY01234\n  56789abcdef, isn't it") == "it is [the key], isn't it"


def test_short_secrets_shred_no_words() -> None:
    """Below four characters one is cut out after its name alone, below eight as a word of its
    own.
    """
    secrets = Secrets()
    secrets.keep(["a", "1234", " "], "a password")
    assert secrets.cut("job 91234 of a batch: 1234?") == "job 91234 of a batch: [a password]?"
    assert secrets.cut('{"document_password": "a"} of a') == '{"document_password": "…"} of a'


def test_the_longer_of_two_secrets_goes_first() -> None:
    """One may begin as the other does."""
    secrets = Secrets()
    secrets.keep(["geheim12", "geheim12-und-mehr"], "a password")
    assert secrets.cut("geheim12-und-mehr and geheim12") == "[a password] and [a password]"


def test_what_gives_access_in_an_address_is_known_by_itself() -> None:
    """What else its query says isn't cut out."""
    secrets = Secrets()
    secrets.keep_address(
        f"{ADDRESS}&file=invoice-2026.pdf&key=0123456789abcdefghij&X-Amz-Expires=86400000"
    )
    left = secrets.cut(
        "no CANARY0123456789abcdef, no CANARY/2026, no 0123456789abcdefghij for invoice-2026.pdf, "
        "86400000"
    )
    assert left == "no …, no …, no … for invoice-2026.pdf, 86400000"


def test_what_is_known_for_now_is_bounded() -> None:
    """A batch may hold a million addresses; what lasts is never forgotten for them."""
    secrets = Secrets()
    secrets.keep(["lasting secret"], "the key")
    secrets.keep_for_now(f"passing secret {number}" for number in range(PASSING + 1))
    left = secrets.cut(f"lasting secret, passing secret 0, passing secret {PASSING}")
    assert left == "[the key], passing secret 0, …"


def test_an_error_is_cleaned_with_all_that_it_came_of() -> None:
    """A traceback shows the causes too."""
    secrets = Secrets()
    word = "CANARY-of-a-document"
    secrets.keep([word], "a password")
    error = BadReply("GET /job", f"it was {word}", status=500)
    error.__cause__ = ExceptionGroup("together", [ValueError(f"no: {word}"), RuntimeError(word)])
    error.__cause__.__context__ = KeyError(word)
    secrets.clean(error)
    assert "CANARY" not in "".join(traceback.format_exception(error)) + error.message
    assert str(error) == "GET /job: it was [a password]"


def test_what_stands_for_a_secret_is_left_as_it_is() -> None:
    """In a hint of our own, and where something has been cut before."""
    hint = "the variable isn't set (export REDUCTO_API_KEY=…)"
    assert redact_urls(hint) == hint
    once = redact_urls("api_key=CANARY; (token=CANARY)")
    assert redact_urls(once) == once and "CANARY" not in once
