"""What the manifest says about submissions, and what goes into the request for one document.

Nothing is sent or recorded here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from batcher.common.names import identity
from batcher.core.account import Account
from batcher.core.chain import merged
from batcher.core.retry_policy import Policy
from batcher.ledger.ledger import Due
from batcher.manifest.password_rules import opening
from batcher.reducto.api_types import METADATA_KEY
from batcher.reducto.rate_card import Measure, Rate
from batcher.reducto.webhook_signature import token


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTemplate:
    """What all submissions of one step have in common."""

    batch: str
    endpoint: str
    options: Mapping[str, Any]
    metadata: Mapping[str, Any]
    priority: bool
    account: Account
    patience: float
    rate: Rate  # price of a page
    chained_rate: Rate  # the same where the input is a job that has been parsed already
    counts_pages: bool = False  # whether a limit makes counting the pages worthwhile
    webhook: Mapping[str, Any] | None = None  # how the service is asked to call back
    # makes the tokens that the service has to show when it calls back
    token_key: bytes | None = field(default=None, repr=False)

    def options_for(self, due: Due, password: str | None = None) -> Mapping[str, Any]:
        """Return the step's options, overridden by those that a listing gives for the document.

        `password` opens the document.
        """
        options = self.options
        if due.options:
            options = merged(options, json.loads(due.options))
        if password is not None:
            options = merged(options, opening(self.endpoint, password))
        return options

    def token_for(self, nonce: str) -> str | None:
        """Return what the service has to show when it calls back; None if it isn't asked to."""
        if self.token_key is None:
            return None
        return token(self.token_key, nonce)

    def metadata_for(self, due: Due, nonce: str) -> Mapping[str, Any]:
        """Return the metadata of a job, with the mark by which it is found in the job list."""
        mark: dict[str, Any] = {
            "batch": self.batch,
            "document": due.id,
            "nonce": nonce,
            "of": identity(due.content, due.step),
        }
        shown = self.token_for(nonce)
        if shown is not None:
            mark["token"] = shown
        given = json.loads(due.metadata) if due.metadata else {}
        return {**self.metadata, **given, METADATA_KEY: mark}


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionRules:
    """What the manifest says about submissions.

    `templates` are by job name. `policy` says when a refused submission is tried again, and `most`
    how many documents the run may submit; None for all.
    """

    templates: Mapping[str, JobTemplate]
    policy: Policy
    most: int | None

    @property
    def least_cost(self) -> float:
        """What the smallest document costs in credits."""
        smallest = Measure()
        return min(template.rate.reserve(smallest) for template in self.templates.values())

    @property
    def patience(self) -> float:
        """For how many seconds the service may be silent."""
        return max(template.patience for template in self.templates.values())
