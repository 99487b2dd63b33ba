"""Every exception that batcher raises, as one tree.

What can happen to a single document while it is processed is an event, not an exception.

    BatcherError
    ├── ManifestError             the manifest is invalid; lists every problem at once
    ├── ServiceUnusable           the local service can't start on this machine
    │   ├── PlaceUnusable         its folder or its port isn't available: name another one
    │   ├── ClusterUnusable       the cluster that is to read documents isn't there, or can't
    │   └── ClusterLost           it was gone for too long: run again when it is back
    ├── ReceiverUnusable          the address on which to receive webhooks isn't available
    ├── MetricsUnusable           the address on which to serve metrics isn't available
    ├── WebUnusable               the address on which to show batches isn't available
    ├── BudgetSpent               one more submission would exceed a limit of the manifest
    ├── Stopped                   the run was stopped before it had begun
    ├── LedgerError               the ledger can't be used in its present state
    │   ├── LedgerLocked          another run holds it
    │   ├── LedgerForeign         it belongs to another batch, service or key
    │   ├── LedgerNewer           a later version of batcher wrote it
    │   ├── LedgerOlder           an earlier version wrote it, and it isn't migrated yet
    │   ├── LedgerDamaged         its bytes are not what SQLite wrote
    │   ├── LedgerOutdated        it is an older copy, and the results know of later runs
    │   ├── AttemptOpen           the same bytes and step are in flight for another document
    │   └── Outdated              a newer version replaced the document, which must not be sent
    ├── SourceError               one document can't be read as planned
    │   ├── SourceGoneError       it no longer exists
    │   ├── SourceChangedError    its bytes are not the ones that were hashed
    │   ├── SourceUnreadableError permission denied, I/O error, or not a regular file
    │   └── DocumentLocked        it needs a password, and none was given
    ├── ResultDamaged             a saved result is missing on disk, or isn't as it was saved
    ├── OutputError               writing to the disk failed: full, read-only or defective
    │   └── MirrorError           writing to the object store failed; what is on disk is safe
    └── ServiceError              a call to the service brought no usable answer
        ├── Unreachable           not one byte was sent: DNS, connect or TLS failed
        ├── ReplyLostError        the request was sent, and no complete answer came back
        ├── BadReply              the answer breaks the API's contract
        └── Refused               the service refused: status, error name, Retry-After
            ├── Unauthorised      401, 403: no key, or one that the service doesn't accept
            ├── NotFound          404: unknown, or deleted after its retention
            ├── Gone              409, 410: being deleted, or deleted on request
            └── Busy              429, 503: a later call may succeed

Facts are attributes, so that no code parses a message. `exit_code` is the exit code of the process
if the exception ends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from batcher.exit_codes import ExitCode

E = TypeVar("E", bound=BaseException)


class BatcherError(Exception):
    """The base class of all errors that batcher raises."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem with a manifest.

    `key` is the dotted key concerned, or empty if the problem concerns the whole file. `hint` says
    what to do about it. `unknown` means that the key is missing from the description of the API
    against which batcher checks options; a newer API may know it.
    """

    key: str
    message: str
    hint: str = ""
    unknown: bool = False

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.key, self.message))) + (
            f" ({self.hint})" if self.hint else ""
        )


class ManifestError(BatcherError):
    """`where` identifies the manifest; `problems` are all that were found in it."""

    def __init__(self, where: str, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{where}: {problem}" for problem in problems))
        self.where = where
        self.problems = problems


class ServiceUnusable(BatcherError):
    exit_code = ExitCode.SERVICE_FAILED


class PlaceUnusable(ServiceUnusable):
    exit_code = ExitCode.USAGE


class ClusterUnusable(ServiceUnusable):
    exit_code = ExitCode.USAGE


class ClusterLost(ServiceUnusable):
    exit_code = ExitCode.RUN_AGAIN


class ReceiverUnusable(BatcherError):
    pass


class MetricsUnusable(BatcherError):
    pass


class WebUnusable(BatcherError):
    pass


class BudgetSpent(BatcherError):
    """Raised when one more submission would exceed a limit.

    `cost` is the estimate that didn't fit, in credits. `may_fit` says whether it may fit once the
    bills of the jobs in flight are known. `probe` is the document whose bill will show what
    documents of this type cost: no other document of the type is sent before.
    """

    exit_code = ExitCode.RUN_AGAIN

    def __init__(
        self, message: str, *, cost: float, may_fit: bool = False, probe: int | None = None
    ) -> None:
        super().__init__(message)
        self.cost = cost
        self.may_fit = may_fit
        self.probe = probe


class Stopped(BatcherError):
    exit_code = ExitCode.RUN_AGAIN


class LedgerError(BatcherError):
    pass


class LedgerLocked(LedgerError):
    exit_code = ExitCode.LEDGER_LOCKED


class LedgerForeign(LedgerError):
    pass


class LedgerNewer(LedgerError):
    pass


class LedgerOlder(LedgerError):
    pass


class LedgerDamaged(LedgerError):
    pass


class LedgerOutdated(LedgerError):
    pass


class AttemptOpen(LedgerError):
    pass


class Outdated(LedgerError):
    pass


class SourceError(BatcherError):
    pass


class SourceGoneError(SourceError):
    pass


class SourceChangedError(SourceError):
    pass


class SourceUnreadableError(SourceError):
    pass


class DocumentLocked(SourceError):
    pass


class ResultDamaged(BatcherError):
    """The file `output` isn't the result of `source` that the ledger knows: gone, or changed."""

    exit_code = ExitCode.INCOMPLETE

    def __init__(self, message: str, *, source: str, output: str) -> None:
        super().__init__(message)
        self.source = source
        self.output = output


class OutputError(BatcherError):
    """`errno` is the operating system's error number; 0 if the error came from elsewhere."""

    exit_code = ExitCode.RUN_AGAIN

    def __init__(self, message: str, *, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno


class MirrorError(OutputError):
    pass


class ServiceError(BatcherError):
    """`call` is the method and path of the call that failed, such as "POST /parse_async"."""

    exit_code = ExitCode.SERVICE_FAILED

    def __init__(self, call: str, message: str) -> None:
        super().__init__(f"{call}: {message}")
        self.call = call
        self.message = message


class Unreachable(ServiceError):
    pass


class ReplyLostError(ServiceError):
    pass


class BadReply(ServiceError):
    def __init__(self, call: str, message: str, *, status: int) -> None:
        super().__init__(call, message)
        self.status = status


class Refused(ServiceError):
    """Raised when the service answered with an error.

    `status` is the HTTP status. `name` is one of the API's 44 error names, or empty. `retry_after`
    is in seconds, or None if the answer doesn't say.
    """

    def __init__(
        self,
        call: str,
        message: str,
        *,
        status: int,
        name: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(call, f"{status} {name} {message}".replace("  ", " ").strip())
        self.status = status
        self.name = name
        self.retry_after = retry_after
        self.said = message


class Unauthorised(Refused):
    @property
    def may_be_of_one(self) -> bool:
        """Whether it may be about what was asked for: 401 is about who asks."""
        return self.status == 403


class NotFound(Refused):
    pass


class Gone(Refused):
    pass


class Busy(Refused):
    @property
    def is_too_fast(self) -> bool:
        """Whether the call only came too soon (429); otherwise the service itself is unwell."""
        return self.status == 429

    @property
    def is_of_all_calls(self) -> bool:
        """Whether the call exceeded the limit that all calls share.

        The API shows this by a code in the text of its message.
        """
        return self.is_too_fast and "[CODE 1000]" in self.said


def first_of(errors: BaseExceptionGroup[BatcherError]) -> BatcherError:
    """Return the first single error in a group that several tasks raised."""
    return next(each_of(errors))


def each_of(errors: BaseExceptionGroup[E]) -> Iterator[E]:
    """Yield the single errors in a group, which may have groups in it."""
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from each_of(error)
        else:
            yield error
