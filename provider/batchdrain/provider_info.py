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
                    "batchdrain.operators.preflight",
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
            "socket_connect_timeout": _seconds_field("Connect time-out", 5),
            "socket_timeout": _seconds_field("Reply time-out", 10),
            "retries": {
                "label": "Retries",
                "description": "How often a command is tried again after a connection error.",
                "schema": {"type": ["integer", "null"], "default": 3},
            },
            **_tls_fields(),
            "cluster": _switch("Cluster", "Host and port are one node of a Redis Cluster.", False),
            "startup_nodes": _text_field(
                "Further cluster nodes", "As host:port, separated by commas."
            ),
            **_sentinel_fields(),
        },
    }


def _tls_fields() -> dict[str, Any]:
    return {
        "ssl": _switch("TLS", None, False),
        "ssl_ca_certs": _text_field(
            "CA certificate path", "Who may have signed the server's certificate."
        ),
        "ssl_certfile": _text_field(
            "Client certificate path", "Where the server wants clients to show one."
        ),
        "ssl_keyfile": _text_field("Client key path", None),
        "ssl_check_hostname": _switch(
            "Check host name", "The server's certificate has to name its host.", True
        ),
    }


def _sentinel_fields() -> dict[str, Any]:
    return {
        "sentinel_master": _text_field(
            "Sentinel: master name",
            "Ask Redis Sentinel for the server: the name of the master that it watches.",
        ),
        "sentinels": _text_field(
            "Sentinel: nodes",
            "The sentinels as host:port, separated by commas. Empty: host and port above.",
        ),
        "sentinel_username": _text_field("Sentinel: user", None),
        "sentinel_password": {
            "label": "Sentinel: password",
            "description": "The sentinels' own; the server's stands above.",
            "schema": {"type": ["string", "null"], "format": "password"},
        },
        "sentinel_ssl": _switch("Sentinel: TLS", "Also between Airflow and the sentinels.", False),
    }


def _text_field(label: str, description: str | None) -> dict[str, Any]:
    return _field(label, description, {"type": ["string", "null"]})


def _switch(label: str, description: str | None, default: bool) -> dict[str, Any]:
    return _field(label, description, {"type": ["boolean", "null"], "default": default})


def _field(label: str, description: str | None, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "label": label,
        **({"description": description} if description else {}),
        "schema": schema,
    }


def _seconds_field(label: str, default: int) -> dict[str, Any]:
    return {
        "label": label,
        "description": "Seconds.",
        "schema": {"type": ["integer", "null"], "default": default},
    }
