"""Convert documents of old formats with LibreOffice, where it is installed.

It runs without a network and without macros, with limits on time and memory, and with a profile of
its own that is removed afterwards: it sees nothing of the user's, and leaves nothing behind, even
if the process that started it is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.pages import DocumentProblem, corrupt, unsupported

SECONDS: Final = 120  # for one document; it starts in about two
MEMORY: Final = 4 << 20  # KiB of address space
LARGEST: Final = 256 << 20  # bytes of what it writes
INSTALL: Final = "apt install libreoffice-impress libreoffice-writer, or brew install libreoffice"

_PROGRAMS: Final = (
    "soffice",
    "libreoffice",
    "/Applications/LibreOffice.app/Contents/MacOS/soffice",
)
_FILTERS: Final = {
    "pptx": "pptx:Impress MS PowerPoint 2007 XML",
    "docx": "docx:MS Word 2007 XML",
}
# The arguments are the folder to remove and the command to run. Its standard input is a pipe that
# ends with the process that holds the other end; then everything that was started ends too.
_SUPERVISED: Final = f"""
exec 3<&0
(trap '' TERM; cat <&3; kill -TERM 0; sleep 1; rm -rf -- "$0"; kill -KILL 0) >/dev/null 2>&1 &
ulimit -t {SECONDS} 2>/dev/null
ulimit -v {MEMORY} 2>/dev/null
ulimit -f {LARGEST // 512} 2>/dev/null
exec "$@" 3<&- </dev/null
"""
# No macros, no links to other files, and a proxy where nobody listens.
_SETTINGS: Final = {
    "/org.openoffice.Office.Common/Security/Scripting": {
        "DisableMacrosExecution": "true",
        "DisableActiveContent": "true",
        "BlockUntrustedRefererLinks": "true",
        "MacroSecurityLevel": "3",
    },
    "/org.openoffice.Office.Writer/Content/Update": {"Link": "0"},
    "/org.openoffice.Inet/Settings": {
        "ooInetProxyType": "2",
        "ooInetHTTPProxyName": "127.0.0.1",
        "ooInetHTTPProxyPort": "9",
        "ooInetHTTPSProxyName": "127.0.0.1",
        "ooInetHTTPSProxyPort": "9",
    },
}
_NOT_LOADED: Final = "could not be loaded"
_LONGEST_REASON: Final = 200  # characters


def program() -> str | None:
    """Return the path of LibreOffice's program, or None if it isn't installed."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


@contextlib.contextmanager
def converted(path: Path, *, source: str, target: str) -> Iterator[Path]:
    """Convert a document and yield the path of the result, which is removed afterwards.

    `source` is the extension of its format, `target` "pptx" or "docx".

    Raises DocumentProblem if it can't be converted, takes too long, or LibreOffice isn't there.
    """
    found = program()
    if found is None:
        message = f"{source.upper()} is read by LibreOffice, which is not installed here: {INSTALL}"
        raise unsupported(f"{message}; or save it as {target.upper()}")
    with tempfile.TemporaryDirectory(prefix="batcher-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        shutil.copyfile(path, folder / f"document.{source}")
        _write_profile(folder / "profile")
        code = _run(_command(found, folder, source, target), folder)
        result = folder / "out" / f"document.{target}"
        if not result.exists():
            raise _failed(code, (folder / "log").read_text(errors="replace"))
        yield result


def _command(found: str, folder: Path, source: str, target: str) -> list[str]:
    options = "--headless --norestore --nolockcheck --nodefault --nologo --nofirststartwizard"
    return [
        found,
        f"-env:UserInstallation={(folder / 'profile').as_uri()}",
        *options.split(),
        "--convert-to",
        _FILTERS[target],
        "--outdir",
        str(folder / "out"),
        str(folder / f"document.{source}"),
    ]


def _run(command: list[str], folder: Path) -> int:
    """Run the command within its limits, and return its exit code."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (found on PATH, not named by the document)
            ["/bin/sh", "-c", _SUPERVISED, str(folder), *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
        )
    try:
        return process.wait(SECONDS)
    except subprocess.TimeoutExpired as late:
        raise _too_large(f"LibreOffice took longer than {SECONDS} s to convert it") from late
    finally:
        # The supervisor is in this group, so the folder isn't removed by it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert process.stdin is not None
        process.stdin.close()


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which the user's home is the temporary folder."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    nowhere = "http://127.0.0.1:9"
    return {
        **kept,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "SAL_USE_VCLPLUGIN": "svp",
        "http_proxy": nowhere,
        "https_proxy": nowhere,
    }


def _write_profile(folder: Path) -> None:
    items = "".join(
        f'<item oor:path="{group}"><prop oor:name="{name}" oor:op="fuse"><value>{value}</value>'
        "</prop></item>"
        for group, values in _SETTINGS.items()
        for name, value in values.items()
    )
    (folder / "user").mkdir(parents=True)
    (folder / "user" / "registrymodifications.xcu").write_text(
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<oor:items xmlns:oor="http://openoffice.org/2001/registry">{items}</oor:items>'
    )


def _failed(code: int, log: str) -> DocumentProblem:
    """Return the error for a conversion that left no result."""
    reason = " ".join(log.split())[-_LONGEST_REASON:]
    if code in (-signal.SIGXCPU, -signal.SIGXFSZ):
        return _too_large("LibreOffice needs more than is allowed to convert it")
    if code in (0, 1) and (_NOT_LOADED in log or not reason):
        return corrupt("LibreOffice can't open the document")
    if code < 0:
        return corrupt(f"LibreOffice ended with {signal.Signals(-code).name} on the document")
    return unsupported(f"LibreOffice fails here (exit code {code}): {reason}")


def _too_large(message: str) -> DocumentProblem:
    return DocumentProblem(ErrorName.OFFICE_CONVERSION_TOO_LARGE, message, 413)
