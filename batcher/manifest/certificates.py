"""Which certificates are trusted: the system's, and those in a file.

SSL_CERT_FILE and SSL_CERT_DIR say where the system's are.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from stat import S_ISREG

from batcher.errors import ManifestError, Problem
from batcher.manifest.model import Manifest


def trust_of(manifest: Manifest) -> ssl.SSLContext | None:
    """Return the context for all HTTPS connections of a run. Raises ManifestError.

    None means aiohttp's default, which trusts the system's certificates.
    """
    ca_file = manifest.service.ca_file
    if ca_file is None:
        return None
    if problem := untrusted(ca_file):
        raise ManifestError(manifest.where, [problem])
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])  # as aiohttp's own context does
    return context


def untrusted(ca_file: Path) -> Problem | None:
    """Return why no certificate in the file can be trusted; None if it has some."""
    try:
        if not S_ISREG(ca_file.stat().st_mode):
            return _problem(f"{ca_file} is not a file")
        alone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        alone.load_verify_locations(ca_file)
    except ssl.SSLError:  # this is also an OSError
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
