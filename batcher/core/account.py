"""Identifies whose jobs are meant: the service, the key, and how long results are kept there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """A service, and the key with which it is called.

    Attempts are recorded under both, because a job can only be asked for where it was made, and by
    whom.
    """

    service: str
    key_fingerprint: str  # tells keys apart, and is no secret
    retention: float  # seconds that the service keeps a job's result

    def made(self, service: str, key_fingerprint: str) -> bool:
        """Return whether a job recorded under these is this account's."""
        return (service, key_fingerprint) == (self.service, self.key_fingerprint)
