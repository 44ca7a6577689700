"""The errors that batchdrain raises, by what has to happen next.

Which SQLSTATE leads to which of them is decided in `batchdrain.engine.failures`.
"""

from __future__ import annotations


class BatchdrainError(Exception):
    """Base of every error that batchdrain raises on purpose."""


class TransientError(BatchdrainError):
    """A server was away, a lock was not to be had: nothing was consumed, trying again may help.

    `sqlstate` is PostgreSQL's code, None when the connection itself failed.
    """

    def __init__(self, message: str, *, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class SystemicError(BatchdrainError):
    """Something that every record would meet: nothing was consumed, trying again will not help."""


class ConfigurationError(SystemicError):
    """An option, a connection or a name is wrong; the message says which, and what to do."""


class QueueRewoundError(SystemicError):
    """Redis holds less than PostgreSQL has applied; an operator has to accept that first."""


class BrakeError(SystemicError):
    """Too large a share of the records would have been refused; the batch was rolled back."""


class HandedOverError(BatchdrainError):
    """A newer drain owns the queue (or has moved its position); this one has to leave."""
