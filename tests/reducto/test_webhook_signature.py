"""Which webhook messages are genuine."""

import base64

import pytest
from forgeries import KEY, NOW, SECRETS, campaign, direct, signed

from batcher.reducto.webhook_signature import Notice, Signed, Tokened, read_secrets

BODY = b'{"status":"Completed","job_id":"job-1","metadata":{"a":1}}'
NOT_GENUINE = {
    "by another secret": signed(BODY, secret=b"a guess"),
    "five minutes old": signed(BODY, at=NOW - 301),
    "five minutes ahead": signed(BODY, at=NOW + 301),
    "no headers": ({}, BODY),
    "another body": (signed(BODY)[0], BODY.replace(b"job-1", b"job-2")),
    "no version": (
        {**signed(BODY)[0], "svix-signature": signed(BODY)[0]["svix-signature"][3:]},
        BODY,
    ),
    "another version": (
        {**signed(BODY)[0], "svix-signature": "v2" + signed(BODY)[0]["svix-signature"][2:]},
        BODY,
    ),
    "a timestamp in words": ({**signed(BODY)[0], "svix-timestamp": "yesterday"}, BODY),
    "a timestamp with more": ({**signed(BODY)[0], "svix-timestamp": f"timestamp={NOW}"}, BODY),
    "not JSON": signed(b"job-1"),
    "no job": signed(b'{"status":"Completed"}'),
    "an empty job": signed(b'{"job_id":""}'),
    "a job that is a number": signed(b'{"job_id":7}'),
    "not UTF-8": signed(b'{"job_id":"\xff\xfe"}'),
    "a deep well": signed(b'{"metadata":' + b"[" * 20_000 + b"]" * 20_000 + b',"job_id":"x"}'),
}


@pytest.mark.parametrize("secret", SECRETS)
def test_a_message_signed_with_any_of_the_secrets_is_genuine(secret: bytes) -> None:
    """Two are in use while one is being replaced."""
    assert Signed(SECRETS).judge(*signed(BODY, secret=secret), now=NOW) == Notice("msg_1", "job-1")


def test_one_good_signature_among_others_is_enough() -> None:
    """The header lists one for each secret in use at the sender."""
    headers, body = signed(BODY)
    headers["svix-signature"] = "junk v1,AAAA v1a,xyz " + headers["svix-signature"]
    assert Signed(SECRETS).judge(headers, body, now=NOW) is not None


def test_the_headers_are_known_by_both_names() -> None:
    """`svix-…` and the standard's `webhook-…`, but not half and half."""
    headers, body = signed(BODY)
    renamed = {name.replace("svix", "webhook"): value for name, value in headers.items()}
    assert Signed(SECRETS).judge(renamed, body, now=NOW) is not None
    mixed = {**renamed, "svix-id": renamed.pop("webhook-id")}
    assert Signed(SECRETS).judge(mixed, body, now=NOW) is None


@pytest.mark.parametrize("name", NOT_GENUINE)
def test_what_is_not_genuine_is_not_let_in(name: str) -> None:
    """And nothing raises."""
    headers, body = NOT_GENUINE[name]
    assert Signed(SECRETS).judge(headers, body, now=NOW) is None


def test_a_direct_message_needs_the_token_of_its_nonce() -> None:
    """Which only the service has seen; of another key, of another nonce or of none it isn't."""
    judge = Tokened(KEY)
    assert judge.judge(*direct("job-1"), now=NOW) == Notice("job-1 n1", "job-1")
    assert judge.judge(*direct("job-1", key=b"a guess"), now=NOW) is None
    headers, body = direct("job-1")
    assert judge.judge(headers, body.replace(b'"nonce": "n1"', b'"nonce": "n2"'), now=NOW) is None
    assert judge.judge({}, b'{"job_id":"job-1","metadata":{}}', now=NOW) is None


def test_no_mutation_of_a_message_is_let_in() -> None:
    """A few thousand here; the campaign by itself takes as many as wanted."""
    assert campaign(6000, seed=5) == []


def test_secrets_are_read_as_svix_writes_them() -> None:
    """One or several; what isn't Base64, or nothing at all, is an error."""
    first, second = (f"whsec_{base64.b64encode(secret).decode()}" for secret in SECRETS)
    assert read_secrets(f"{first} {second}") == read_secrets(f"{first},{second}") == SECRETS
    for text in ("", "whsec_", "whsec_not base64!", f"{first} whsec_"):
        with pytest.raises(ValueError):
            read_secrets(text)
