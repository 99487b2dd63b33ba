"""Every error batcher raises, drawn as one tree. What a document can meet on its way is an event,
not an error.

    BatcherError
    ├── ManifestError        what the manifest says can't be done; every problem at once
    ├── ServiceUnusable      the local service can't start here
    │   └── PlaceUnusable    its folder or its port can't be had: name another one
    ├── ReceiverUnusable     nobody can call back: the address for webhooks can't be had
    ├── BudgetSpent          one more submission would pass a limit of the manifest's
    ├── Stopped              somebody stopped the run before it had begun
    ├── LedgerError          the ledger can't be used as it stands
    │   ├── LedgerLocked     another run holds it
    │   ├── LedgerForeign    it belongs to another batch, service or key
    │   ├── LedgerNewer      a later version of batcher wrote it
    │   ├── LedgerOlder      an earlier one did, and nothing has brought it up to date yet
    │   ├── LedgerDamaged    its bytes are not what SQLite wrote
    │   ├── AttemptOpen      the same bytes and step are out already, for another document
    │   └── Outdated         a newer version stands in the document's place: it is not to be sent
    ├── SourceError          one document can't be read as it was planned
    │   ├── SourceGone       it is no longer there
    │   ├── SourceChanged    its bytes are not the ones that were hashed
    │   ├── SourceUnreadable permission, I/O error, not a regular file
    │   └── DocumentLocked   it wants a password that nobody named
    ├── OutputError          the disk refuses: full, read-only, failing
    │   └── MirrorError      the object store does; what is on disk is safe
    └── ServiceError         a call to the service did not end in an answer that counts
        ├── Unreachable      not one byte was sent: DNS, connect, TLS
        ├── ReplyLost        it was sent, and no answer came back whole
        ├── BadReply         an answer came that breaks the contract
        └── Refused          the service said no: status, error name, Retry-After
            ├── Unauthorised 401, 403: no key, or one the service doesn't take
            ├── NotFound     404: unknown, or deleted after its retention
            ├── Gone         409, 410: deletion under way, or done on request
            └── Busy         429, 503: later, perhaps

Facts are attributes; nobody parses a message. `exit_code` is the process's, should the error end
it.
"""

from __future__ import annotations

from dataclasses import dataclass

from batcher.exit_codes import ExitCode


class BatcherError(Exception):
    exit_code = ExitCode.USAGE


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a manifest: which `key` (dotted; empty: the whole file), what, and what
    to do about it.

    `unknown` to the API's description that batcher holds options against: a newer one may know it.
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
    def __init__(self, where: str, problems: list[Problem]) -> None:
        super().__init__("\n".join(f"{where}: {problem}" for problem in problems))
        self.where = where
        self.problems = problems


class ServiceUnusable(BatcherError):
    exit_code = ExitCode.SERVICE_FAILED


class PlaceUnusable(ServiceUnusable):
    exit_code = ExitCode.USAGE


class ReceiverUnusable(BatcherError):
    pass


class BudgetSpent(BatcherError):
    """`cost` is the estimate that didn't fit, in credits; `may_fit` once the bills of what is out
    are known.

    `probe` is the document whose bill is to show what documents of this type cost: no other is sent
    before that.
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


class OutputError(BatcherError):
    """`errno` is what the system said; 0 where it wasn't the system."""

    exit_code = ExitCode.RUN_AGAIN

    def __init__(self, message: str, *, errno: int = 0) -> None:
        super().__init__(message)
        self.errno = errno


class MirrorError(OutputError):
    pass


class ServiceError(BatcherError):
    """`call` says which one, as in "POST /parse_async"."""

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
    """`status` is HTTP's; `name` one of the API's 44, or empty; `retry_after` in seconds, None
    where unsaid.
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
    pass


class NotFound(Refused):
    pass


class Gone(Refused):
    pass


class Busy(Refused):
    @property
    def is_too_fast(self) -> bool:
        """Whether the call only came too soon; otherwise the service itself is unwell."""
        return self.status == 429

    @property
    def is_of_all_calls(self) -> bool:
        """Whether it met the limit that all calls share.

        The API tells that by a code among its words.
        """
        return self.is_too_fast and "[CODE 1000]" in self.said


def first_of(errors: BaseExceptionGroup[BatcherError]) -> BatcherError:
    """What tasks that went together failed of, as one error with its own words."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, BatcherError)
    return error
