"""Makes the queues known to Airflow's MessageQueueTrigger."""

from __future__ import annotations

from airflow.providers.common.messaging.providers.base_provider import BaseMessageQueueProvider
from airflow.triggers.base import BaseEventTrigger

from batchdrain.triggers.queue_backlog import QueueBacklogTrigger


class BacklogMessageQueueProvider(BaseMessageQueueProvider):
    """Lets `MessageQueueTrigger(scheme="batchdrain+redis", …)` be a QueueBacklogTrigger.

    The further arguments are those of QueueBacklogTrigger.
    """

    scheme = "batchdrain+redis"

    def trigger_class(self) -> type[BaseEventTrigger]:
        """Return QueueBacklogTrigger."""
        return QueueBacklogTrigger
