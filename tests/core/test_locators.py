"""URLs as names: nothing of a signature is kept, and a new signature makes no new document."""

import pytest

from batcher.core.document import output_name
from batcher.core.locators import bare, is_url, url_key

SIGNED = "https://bucket.s3.amazonaws.com/in/a%20b.pdf?X-Amz-Credential=AK&X-Amz-Signature={}&X-Amz-Expires=900"


def test_the_name_of_a_url_holds_no_secret() -> None:
    """No query, no fragment, nobody's password."""
    assert bare("https://me:pw@host:8443/a%20b.pdf?sig=1#x") == "https://host:8443/a%20b.pdf"
    assert output_name("https://host:8443/in/a.pdf") == "host:8443/in/a.pdf.json"


def test_a_new_signature_is_no_new_document() -> None:
    """What isn't a signature tells documents apart."""
    assert url_key(SIGNED.format("one")) == url_key(SIGNED.format("two"))
    assert url_key("https://h/get?id=1&sig=a") == url_key("https://h/get?sig=b&id=1")
    assert url_key("https://h/get?id=1") != url_key("https://h/get?id=2")
    assert url_key("https://h/a.pdf").endswith(".pdf")


@pytest.mark.parametrize("text", ["ftp://h/a.pdf", "h/a.pdf", "https://", "https://h:port/", "file:///etc/passwd", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Only http and https, with a host."""
    assert not is_url(text)
