"""Inputs of submissions: which kinds there are, and what is written down of each."""

import pytest

from batcher.reducto.inputs import (
    Address,
    Input,
    InputKind,
    Upload,
    UpstreamJob,
    address,
    kind_of,
    recorded,
)

INPUTS: dict[str, Input] = {
    "upload": Upload("reducto://1.pdf"),
    "job": UpstreamJob("1"),
    "address": address("https://example.com/1.pdf"),
    "addresses": address(("https://example.com/1.pdf", "jobid://2")),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_an_input_is_known_again(kind: str) -> None:
    """By what is written down of it, with its kind."""
    named = INPUTS[kind]
    assert named.kind == kind_of(named.known_as) == kind
    again = recorded(named.known_as)
    assert (type(again), again.known_as, again.kind) == (type(named), named.known_as, kind)


def test_every_kind_has_an_example() -> None:
    """None is forgotten."""
    assert set(INPUTS) == set(InputKind)


def test_what_is_secret_of_an_address_is_not_written_down() -> None:
    """The service gets the address as it is; nobody else does."""
    signed = "https://files.example.com/1.pdf?X-Amz-Signature=00ff"
    named = address(signed)
    assert named.source == signed
    assert "00ff" not in named.known_as
    assert "00ff" not in repr(named)


def test_the_service_gets_ids_as_it_wrote_them() -> None:
    """An upload by its own id, a job behind the prefix that says so."""
    assert Upload("reducto://1.pdf").source == "reducto://1.pdf"
    assert UpstreamJob("1").source == "jobid://1"
    assert Address("s3://bucket/1.pdf", "https://signed").source == "https://signed"
