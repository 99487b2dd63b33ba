"""Run the vendor's own end-to-end tests, written for the live API, against the local service.

They come with the SDK's source distribution and aren't copied here:

    pip download --no-deps --no-binary :all: reductoai && tar xzf reductoai-*.tar.gz
    PYTHONPATH=. python tests/service/vendors_tests.py reductoai-*/tests/e2e/test_sdk_e2e.py

Two things of the file are changed on its way: its document's address, which is served from this
machine, and the `https` of addresses in answers, since the local service speaks HTTP.
"""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

VENDORS_HOST: Final = "https://ci.reducto.ai"
KEY: Final = "secret"


def onepager() -> bytes:
    """Return a PDF of one page headed "Invoice" whose title is only in its Info dictionary."""
    lines = ("Invoice", "Invoice number: A-7", "Subtotal: 100.00", "Total: 120.50 EUR")
    text = "".join(
        f"BT /F1 {24 if n == 0 else 12} Tf 72 {700 - 40 * n} Td ({line}) Tj ET\n"
        for n, line in enumerate(lines)
    ).encode()
    return pdf_of(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources"
            b" << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(text), text),
        ],
        info=b"<< /Title (The one-pager) /Author (Ada) >>",
    )


def pdf_of(objects: list[bytes], *, info: bytes = b"") -> bytes:
    """Return the PDF of these objects, the catalogue first, and of an Info dictionary, if any."""
    written = b"%PDF-1.4\n"
    places = []
    whole = [*objects, info] if info else objects
    for number, content in enumerate(whole, start=1):
        places.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(places) + 1
    trailer = b"<< /Size %d /Root 1 0 R%s >>" % (size, b" /Info %d 0 R" % (size - 1) * bool(info))
    return written + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n%s\nstartxref\n%d\n%%%%EOF\n" % (
        size,
        table,
        trailer,
        len(written),
    )


def main(path: Path, *more: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder)
        (there / "files").mkdir()
        (there / "files" / "onepager.pdf").write_bytes(onepager())
        handler = functools.partial(_Quiet, directory=str(there / "files"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tests = path.read_text().replace(VENDORS_HOST, f"http://127.0.0.1:{server.server_port}")
        (there / "test_vendors.py").write_text(tests.replace('"https://"', '"http://"'))
        return _run(there, more)


def _run(folder: Path, more: tuple[str, ...]) -> int:
    environment = {**os.environ, "REDUCTO_API_KEY": KEY}
    words = ["serve", "--allow-urls", "--allow-loopback-urls", "--data-dir", str(folder / "data")]
    service = subprocess.Popen(
        [sys.executable, "-m", "batcher", *words],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert service.stdout is not None
    try:
        environment["REDUCTO_BASE_URL"] = service.stdout.readline().strip()
        asked = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", *more]
        tests = [sys.executable, "-m", "pytest", *asked, str(folder / "test_vendors.py")]
        return subprocess.run(tests, env=environment, cwd=folder, check=False).returncode
    finally:
        service.terminate()
        service.wait(10)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), *sys.argv[2:]))
