"""Uploads documents, which is free and repeated until it succeeds. It submits nothing."""

from __future__ import annotations

from pathlib import Path

from batcher.core import events, sending
from batcher.core.retry_policy import Policy
from batcher.errors import Refused, ServiceError, SourceError, Unauthorised
from batcher.exit_codes import ExitCode
from batcher.ledger.ledger import Due
from batcher.reducto.inputs import Upload
from batcher.sources.object_store import Fetched
from batcher.stages.context import StageContext
from batcher.stages.input_resolver import Named, is_file
from batcher.stages.key_check import is_of_one_document
from batcher.stages.silence_monitor import SilenceMonitor
from batcher.stages.transfer import InStore, Transfer


class Uploader:
    def __init__(self, context: StageContext, policy: Policy, silence: SilenceMonitor) -> None:
        self._ledger = context.ledger
        self._client = context.client
        self._transfer = Transfer(context)
        self._rate_limit = context.rate_limits.upload
        self._control = context.control
        self._clock = context.clock
        self._rng = context.rng
        self._policy = policy
        self._silence = silence

    async def upload(
        self, due: Due, content: bytes | Path | Fetched | InStore | SourceError
    ) -> Named | None:
        """Return the document as the service can read it.

        None if the run stops, or if the upload failed, which is recorded. Raises `content` where
        that is the error that reading it met.
        """
        if isinstance(content, SourceError):
            raise content
        # the hash of an object in a store isn't known before it is fetched
        sha256 = due.content.partition(".")[0] if is_file(due) else None
        try:
            upload = await self._transfer.upload(due, content, sha256=sha256)
        except Unauthorised as error:
            if await is_of_one_document(error, self._client):
                await self._reject(due, error)
            else:
                self._control.stop(str(error), ExitCode.SERVICE_FAILED, abort=True)
            return None
        except ServiceError as error:
            self._rate_limit.hold(error)
            await self._put_off(due, error)
            return None
        if upload is None:
            return None
        self._rate_limit.answered()
        self._silence.answered()
        return Named(Upload(upload.file_id))

    async def _put_off(self, due: Due, error: ServiceError) -> None:
        """Postpone an upload for as long as the service asks.

        The document is rejected only where the error may be its own fault.
        """
        if sending.is_upload_given_up(error, due.tries):
            await self._reject(due, error)
            return
        self._silence.failed(error)
        span = self._policy.patience_with(error, due.tries, self._rng)
        again_at = self._clock() + span
        postponed = events.Postponed(due.id, str(error), again_at, due.tries + 1)
        await self._ledger.record(postponed)

    async def _reject(self, due: Due, error: ServiceError) -> None:
        kind = "transient"
        name = ""
        if isinstance(error, Refused):
            kind = self._policy.kind_of(error)
            name = error.name
        rejected = events.Rejected(due.id, str(error), kind=kind, error_name=name)
        await self._ledger.record(rejected)
        self._control.count(kind)
