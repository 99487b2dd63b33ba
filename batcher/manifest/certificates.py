"""Whose certificates are trusted: the system's (SSL_CERT_FILE and SSL_CERT_DIR say where they are)
and a file's.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from stat import S_ISREG

from batcher.errors import ManifestError, Problem
from batcher.manifest.model import Manifest


def trust_of(manifest: Manifest) -> ssl.SSLContext | None:
    """For all HTTPS connections of a run; None: what aiohttp has by itself, the system's.

    Raises ManifestError.
    """
    ca_file = manifest.service.ca_file
    if ca_file is None:
        return None
    if problem := untrusted(ca_file):
        raise ManifestError(manifest.where, [problem])
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])  # as aiohttp's own
    return context


def untrusted(ca_file: Path) -> Problem | None:
    """Why nothing in it can be trusted; None where it holds certificates."""
    try:
        if not S_ISREG(ca_file.stat().st_mode):
            return _problem(f"{ca_file} is not a file")
        alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        alone.load_verify_locations(ca_file)
    except ssl.SSLError:  # an OSError as well
        return _unread(ca_file)
    except OSError as error:
        return _problem(f"{ca_file}: {error.strerror}")
    except ValueError:
        return _problem(f"{str(ca_file)!r} is no path")
    return None if alone.cert_store_stats()["x509"] else _unread(ca_file)


def _problem(words: str) -> Problem:
    return Problem("service.ca_file", words, "check the path; it is relative to the manifest")


def _unread(ca_file: Path) -> Problem:
    hint = "PEM is wanted: text that begins with -----BEGIN CERTIFICATE-----"
    return Problem("service.ca_file", f"{ca_file}: no certificate can be read in it", hint)
