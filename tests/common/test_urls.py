"""URLs as names: nothing of a signature is kept, a new signature makes no new document, and no two
are ever one.
"""

from itertools import combinations

import pytest

from batcher.common.names import output_name
from batcher.common.urls import is_url, strip_query, url_key, url_name

SIGNED = "https://bucket.s3.amazonaws.com/in/a%20b.pdf?X-Amz-Credential=AK&X-Amz-Signature={}&X-Amz-Expires=900"


def test_the_name_of_a_url_holds_no_secret() -> None:
    """No query, no fragment, nobody's password."""
    assert strip_query("https://me:pw@host:8443/a%20b.pdf?sig=1#x") == "https://host:8443/a%20b.pdf"
    assert output_name("https://host:8443/in/a.pdf") == "host:8443/in/a.pdf.json"


# Of each way of signing: two signatures of one document.
SIGNATURES = {
    "AWS 4": (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK&X-Amz-Date=1&X-Amz-Expires=900"
        "&X-Amz-SignedHeaders=host&X-Amz-Signature=a1",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK&X-Amz-Date=2&X-Amz-Expires=900"
        "&X-Amz-Security-Token=t&X-Amz-SignedHeaders=host&X-Amz-Signature=b2",
    ),
    "AWS 2": (
        "AWSAccessKeyId=AK&Signature=a&Expires=1",
        "Expires=2&Signature=b&AWSAccessKeyId=AK2",
    ),
    "Google 4": (
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=c&X-Goog-Date=1&X-Goog-Signature=a",
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=c&X-Goog-Date=2&X-Goog-Signature=b",
    ),
    "Google 2": (
        "GoogleAccessId=g&Expires=1&Signature=a",
        "GoogleAccessId=g&Expires=2&Signature=b",
    ),
    "Cloud CDN": ("Expires=1&KeyName=k&Signature=a", "Expires=2&KeyName=k&Signature=b"),
    "Azure blob": (
        "sv=2024-11-04&sr=b&se=1&sp=r&sig=a",
        "sp=r&st=0&se=2&spr=https&sv=2025-01-05&sr=b&sig=b",
    ),
    "Azure policy": ("sv=2024-11-04&sr=c&si=policy&sig=a", "sv=2024-11-04&sr=c&si=other&sig=b"),
    "Azure account": (
        "sv=2024-11-04&ss=b&srt=o&sp=r&se=1&sig=a",
        "sv=2024-11-04&ss=b&srt=o&sp=r&se=2&sig=b",
    ),
    "CloudFront": ("Expires=1&Signature=a&Key-Pair-Id=K", "Policy=p&Signature=b&Key-Pair-Id=K"),
    "Alibaba": ("OSSAccessKeyId=o&Expires=1&Signature=a", "OSSAccessKeyId=o&Expires=2&Signature=b"),
    "Akamai": ("hdnea=st=1~exp=2~acl=/*~hmac=ab12", "hdnts=exp=3~acl=/*~hmac=cd34"),
}


@pytest.mark.parametrize("scheme", SIGNATURES)
def test_a_new_signature_is_no_new_document(scheme: str) -> None:
    """However a cloud signs; and what isn't part of the signature tells documents apart all the
    same.
    """
    one, two = (f"https://h/in/a.pdf?{query}" for query in SIGNATURES[scheme])
    assert url_key(one) == url_key(two) == url_key("https://h/in/a.pdf")
    assert url_name(one) == url_name(two) == "https://h/in/a.pdf"
    assert (
        url_key(f"{one}&versionId=1")
        == url_key(f"{two}&versionId=1")
        != url_key(f"{one}&versionId=2")
    )


@pytest.mark.parametrize(
    "name",
    (
        "token auth access_token sig signature expires policy hmac se sv sr st sp si key-pair-id "
        "hdnts id"
    ).split(),
)
def test_what_only_looks_like_a_part_of_a_signature_tells_documents_apart(name: str) -> None:
    """A document system may have nothing but a token to say which one it means."""
    one, two = (f"https://h/get?{name}={value}" for value in ("1", "2"))
    assert url_key(one) != url_key(two)
    assert len({url_name(one), url_name(two), url_name("https://h/get")}) == 3


DIFFERENT = (
    "https://h/get",
    "https://h/get?a",
    "https://h/get?a=1",
    "https://h/get?A=1",
    "https://h/get?a=1&a=2",
    "https://h/get?a=2&a=1",
    "https://h/get?a=1&b=2",
    "https://h/get?a=1%26b%3D2",
    "https://h/get?a=%ff",
    "https://h/get?a=%fe",
    "https://h/get?a=%EF%BF%BD",
    "https://h/%ff",
    "https://h/%fe",
    "https://h/a/b",
    "https://h/a%2Fb",
    "https://h/a%252Fb",
    "https://h/a+b",
    "https://h/a%2Bb",
    "https://h/Get",
    "http://h/get",
    "https://h:8443/get",
    "https://h/get%3Fa=1",
)


def test_addresses_that_differ_are_never_one() -> None:
    """By name or by key: values, bytes that are no text, escapes, case, the order of what has one
    name.
    """
    for read in (url_name, url_key):
        for one, two in combinations(DIFFERENT, 2):
            assert read(one) != read(two), (one, two)


@pytest.mark.parametrize(
    "other",
    [
        "https://H:443/d%69r/a?c=&b=x%20y",
        "https://me:pw@h/dir/a?b=x+y&c=#page=2",
        "https://h/dir/a?b=x%20y&c=",
    ],
)
def test_an_address_is_known_again_however_it_is_written(other: str) -> None:
    """Escapes, the order of parameters, the usual port, credentials and fragments make no other
    document.
    """
    assert url_key(other) == url_key("https://h/dir/a?b=x%20y&c")
    assert url_name(other) == url_name("https://h/dir/a?b=x%20y&c")


def test_parameters_that_are_ignored_tell_nothing_apart() -> None:
    """By exactly the names that the manifest says."""
    one = "https://h/get?id=1&token=a"
    two = "https://h/get?id=1&token=b"
    assert (
        url_key(one, ignore=["token"])
        == url_key(two, ignore=["token"])
        == url_key("https://h/get?id=1")
    )
    assert url_name(one, ignore=["id", "token"]) == "https://h/get"
    assert url_key(one, ignore=["Token"]) != url_key(two, ignore=["Token"])


def test_a_name_shows_that_there_is_a_query_and_not_what_it_says() -> None:
    """It is a valid name for a result, and never that of an address without a query."""
    name = url_name("https://h/get/a.pdf?token=CANARY")
    assert name.startswith("https://h/get/a.pdf#") and "CANARY" not in name
    assert output_name(name) == name.removeprefix("https://") + ".json"


def test_an_address_without_a_query_keeps_the_key_it_always_had() -> None:
    """Ledgers hold it: another one would be paid for again."""
    known = "url-84629b9ba764f29dfba47ba647f47ffe006969ba1a538c6a41ca1a35afa5d6d6.pdf"
    assert url_key("https://h/a.pdf") == known


@pytest.mark.parametrize(
    "text", ["ftp://h/a.pdf", "h/a.pdf", "https://", "https://h:port/", "file:///etc/passwd", ""]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Only http and https, with a host."""
    assert not is_url(text)
