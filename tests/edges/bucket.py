"""An S3 of this machine: moto's server on loopback, as long as a block lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store, from_url


@contextmanager
def bucket(patch: pytest.MonkeyPatch, name: str = "out") -> Iterator[S3Store]:
    """`name`, empty; the environment says how to reach it, for this process and its children."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    settings = {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "REGION": "us-east-1", "ENDPOINT_URL": endpoint}
    for key, value in {**settings, "ALLOW_HTTP": "true", "DEFAULT_REGION": "us-east-1"}.items():
        patch.setenv(f"AWS_{key}", value)
    try:
        _make(endpoint, name)
        store = from_url(f"s3://{name}")
        assert isinstance(store, S3Store)
        yield store
    finally:
        server.stop()


def _make(endpoint: str, name: str) -> None:
    """All of moto's servers in one process share what they hold."""
    import urllib.request

    for method, path in (("POST", "moto-api/reset"), ("PUT", name)):
        urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{path}", method=method)).close()
