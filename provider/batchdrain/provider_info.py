"""What Airflow reads to learn of this provider; it is loaded while Airflow itself still starts."""

from __future__ import annotations

from typing import Any

from batchdrain import __version__
from batchdrain.configuration import OPTIONS, VERSION_ADDED
from batchdrain.option import SECTION

_INTEGRATION = "batchdrain"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, valid against airflow/provider_info.schema.json."""
    return {
        "package-name": "batchdrain",
        "name": "batchdrain",
        "description": "Drains Redis queues of INSERT / UPDATE / DELETE records into PostgreSQL "
        "in batches, exactly once.",
        "versions": [__version__],
        "integrations": [{"integration-name": _INTEGRATION, "tags": ["software"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "batchdrain.operators.control_queues",
                    "batchdrain.operators.drain_queue",
                    "batchdrain.operators.list_queues",
                    "batchdrain.operators.redrive_errors",
                    "batchdrain.operators.summarize_errors",
                ],
            }
        ],
        "hooks": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["batchdrain.hooks.postgres", "batchdrain.hooks.queue"],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["batchdrain.sensors.queue_backlog"],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["batchdrain.triggers.queue_backlog"],
            }
        ],
        "queues": ["batchdrain.triggers.message_queue.BacklogMessageQueueProvider"],
        "extra-links": ["batchdrain.operators.refused_link.RefusedRecordsLink"],
        "notifications": ["batchdrain.notifications.webhook.WebhookNotifier"],
        "connection-types": [_postgres_connection(), _redis_connection()],
        "config": {
            SECTION: {
                "description": "How Redis queues are drained into PostgreSQL.",
                "options": {
                    option.name: {
                        "description": f"{option.description}\n",
                        "version_added": VERSION_ADDED,
                        "type": option.kind,
                        "example": option.example,
                        "default": option.default,
                    }
                    for option in OPTIONS
                },
            }
        },
    }


def _postgres_connection() -> dict[str, Any]:
    return {
        "connection-type": "batchdrain_postgres",
        "hook-class-name": "batchdrain.hooks.postgres.BatchPostgresHook",
        "hook-name": "PostgreSQL (batchdrain)",
        "ui-field-behaviour": {"hidden-fields": [], "relabeling": {"schema": "Database"}},
        "conn-fields": {
            "sslmode": {
                "label": "SSL mode",
                "schema": {
                    "type": ["string", "null"],
                    "enum": [None, "disable", "prefer", "require", "verify-ca", "verify-full"],
                },
            },
            "connect_timeout": _seconds_field("Connect time-out", 10),
        },
    }


def _redis_connection() -> dict[str, Any]:
    return {
        "connection-type": "batchdrain_redis",
        "hook-class-name": "batchdrain.hooks.queue.RedisQueueHook",
        "hook-name": "Redis / Valkey (batchdrain)",
        "ui-field-behaviour": {"hidden-fields": ["schema"], "relabeling": {}},
        "conn-fields": {
            "db": {"label": "DB", "schema": {"type": ["integer", "null"], "default": 0}},
            "ssl": {"label": "TLS", "schema": {"type": ["boolean", "null"], "default": False}},
            "ssl_ca_certs": {
                "label": "CA certificate path",
                "schema": {"type": ["string", "null"]},
            },
            "socket_connect_timeout": _seconds_field("Connect time-out", 5),
            "socket_timeout": _seconds_field("Reply time-out", 10),
            "retries": {
                "label": "Retries",
                "description": "How often a command is tried again after a connection error.",
                "schema": {"type": ["integer", "null"], "default": 3},
            },
        },
    }


def _seconds_field(label: str, default: int) -> dict[str, Any]:
    return {
        "label": label,
        "description": "Seconds.",
        "schema": {"type": ["integer", "null"], "default": default},
    }
