"""Object stores of this machine: moto's server on loopback, as long as a block lasts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store, from_url

SIGNED_BY_ANYBODY = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


@contextmanager
def bucket(patch: pytest.MonkeyPatch, name: str = "out") -> Iterator[S3Store]:
    """`name`, empty; the environment says how to reach it, for this process and its children."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    settings = {
        "ACCESS_KEY_ID": "test",
        "SECRET_ACCESS_KEY": "test",
        "REGION": "us-east-1",
        "ENDPOINT_URL": endpoint,
    }
    for key, value in {**settings, "DEFAULT_REGION": "us-east-1"}.items():
        patch.setenv(f"AWS_{key}", value)
    try:
        remove_all_buckets()
        make_bucket(name)
        store = from_url(f"s3://{name}", client_options={"allow_http": True})
        assert isinstance(store, S3Store)
        yield store
    finally:
        server.stop()


def remove_all_buckets(endpoint: str = "") -> None:
    """All of moto's servers in one process share what they hold."""
    _ask("POST", endpoint, "moto-api/reset")


def make_bucket(name: str, endpoint: str = "") -> None:
    _ask("PUT", endpoint, name)


def _ask(method: str, endpoint: str, path: str) -> None:
    import urllib.request

    url = f"{endpoint or os.environ['AWS_ENDPOINT_URL']}/{path}"
    urllib.request.urlopen(urllib.request.Request(url, method=method)).close()


@contextmanager
def google_buckets(patch: pytest.MonkeyPatch, *names: str) -> Iterator[None]:
    """Google's own form of the same API (its XML one), by moto; no signature is looked at."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_: object) -> None: ...

    moto = DomainDispatcherApplication(create_backend_app)

    def app(environ: dict[str, Any], start: Any) -> Any:
        environ["HTTP_AUTHORIZATION"] = SIGNED_BY_ANYBODY
        return moto(environ, start)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    account = {
        "gcs_base_url": endpoint,
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
    }
    patch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps({**account, "private_key_id": ""}))
    try:
        remove_all_buckets(endpoint)
        for name in names:
            make_bucket(name, endpoint)
        yield
    finally:
        server.shutdown()
        thread.join()
