"""Which addresses are public, in the spellings that networks give them."""

import pytest

from batcher.common.addresses import as_connected, is_public, parse_address


@pytest.mark.parametrize("text", ["93.184.216.34", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_a_public_host_is_public_behind_each_translation(text: str) -> None:
    """A network with IPv6 alone reaches the stores of results by NAT64."""
    address = parse_address(text)
    assert address is not None and is_public(as_connected(address))


@pytest.mark.parametrize("text", ["10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fe80::1%eth0"])
def test_a_private_host_is_private_behind_each_translation(text: str) -> None:
    """A translated address leads where the address within it does."""
    address = parse_address(text)
    assert address is not None and not is_public(as_connected(address))


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "[::1]", "10"])
def test_what_spells_no_address_is_none(text: str) -> None:
    """Resolvers take some of these for addresses; only full spellings are judged as such."""
    assert parse_address(text) is None
