"""A certificate of this machine that nobody else has signed, for tests of TLS."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="no openssl here: nothing makes a certificate"
)


def self_signed(path: Path, name: str = "IP:127.0.0.1") -> Path:
    """Make a certificate for `name` at `path`; its key lies beside it, with the suffix .key."""
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "9",
            "-subj",
            "/CN=localhost",
            "-keyout",
            path.with_suffix(".key"),
            "-out",
            path,
            "-addext",
            f"subjectAltName={name}",
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return path
