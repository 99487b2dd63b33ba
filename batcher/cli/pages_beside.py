"""Shows a batch in a browser beside its run, in a process of its own: `batcher run --web`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from batcher.cli.browser import open_in_browser

if TYPE_CHECKING:
    from batcher.manifest.model import Manifest

PATIENCE: Final = 5.0  # seconds that the process has to end in

Say = Callable[[str], None]


@contextmanager
def pages_beside(manifest: Manifest, say: Say, *, stays: bool) -> Iterator[None]:
    """Show the batch during the block; `say` is told the address, once it is known.

    With `stays`, a person is at the terminal: a browser is opened, and after the run the pages stay
    until Ctrl-C.
    """
    output = manifest.output
    words = [sys.executable, "-m", "batcher.web", str(output.directory), str(output.ledger_path)]
    process = subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in the terminal is for the run
        text=True,
    )
    with ExitStack() as stack:
        stack.callback(_end, process)
        teller = threading.Thread(target=_tell, args=(process, say, stack, stays), daemon=True)
        teller.start()
        yield
        teller.join(PATIENCE)
        if stays and process.poll() is None:
            _stay(process, say)


def _tell(process: subprocess.Popen[str], say: Say, stack: ExitStack, opens: bool) -> None:
    """Wait for the address, and pass it on."""
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    if not address:
        say("the pages could not be started; `batcher web` says why")
        return
    say(f"the pages of this batch: {address}")
    if opens:
        stack.enter_context(open_in_browser(address))


def _stay(process: subprocess.Popen[str], say: Say) -> None:
    say("the run has ended; its pages stay until Ctrl-C")
    with contextlib.suppress(KeyboardInterrupt):
        process.wait()


def _end(process: subprocess.Popen[str]) -> None:
    """Close the stdin of the process, which ends it, and wait until it has."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
