"""Lets an operator look at queues, hold and release them, and remove messages from one."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
from airflow.sdk import BaseOperator, Context

from batchdrain import configuration as options
from batchdrain.allow_list import AllowList
from batchdrain.drain.discard import discard
from batchdrain.engine.parents import Verdict, verdicts
from batchdrain.engine.position import (
    Ledger,
    create_state,
    hold,
    positions,
    stopped,
    unhold,
)
from batchdrain.errors import ConfigurationError
from batchdrain.hooks.postgres import BatchPostgresHook
from batchdrain.hooks.queue import RedisQueueHook
from batchdrain.operators.action_param import chosen_action
from batchdrain.operators.form_check import check_names
from batchdrain.operators.outcome import failing_clearly
from batchdrain.operators.queue_view import (
    MESSAGE_HEAD,
    QUEUE_HEAD,
    message_row,
    queue_row,
    reached,
)
from batchdrain.operators.task_run import run_of
from batchdrain.operators.text_table import aligned
from batchdrain.queues.keys import QueueKey
from batchdrain.queues.queue import Queue

ACTIONS = ("look", "hold", "release", "remove")
"""What may be done to queues."""

MOST_MESSAGES = 1_000
"""How many messages of a queue may be looked at."""


class ControlQueuesOperator(BaseOperator):
    """Does one of ACTIONS to the queues of the chosen tables, and shows how they stand then.

    `look` shows the oldest messages of each: ids, operation and columns, never values. A queue on
    `hold` keeps its messages until `release`; a drain that is at it ends at its next batch.
    `remove` deletes the oldest messages of one queue for good: Param `remove` says how many, and
    `confirm` has to be the queue's key; a second try of the task removes nothing. Params: `action`,
    `tables` (empty: all that are allowed),
    `shard`, `messages`, `remove`, `confirm`. Arguments left out come from section `[batchdrain]`.
    """

    template_fields: Sequence[str] = ("tables", "prefix", "postgres_conn_id", "redis_conn_id")
    ui_color = "#e6dcf2"

    def __init__(
        self,
        *,
        tables: str | Sequence[str] | AllowList | None = None,
        prefix: str | None = None,
        postgres_conn_id: str | None = None,
        redis_conn_id: str | None = None,
        left_push: bool | str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tables = tables
        self.prefix = prefix
        self.postgres_conn_id = postgres_conn_id
        self.redis_conn_id = redis_conn_id
        self.left_push = left_push

    def execute(self, context: Context) -> dict[str, Any]:
        """Do it, and return the action, its queues, and how many messages were removed.

        Raises AirflowFailException with a sentence for a bad Param, option or connection.
        """
        params = context["params"]
        with failing_clearly(self.log, "control of queues"):
            check_names(context)
            action = chosen_action(params, ACTIONS)
            redis_hook = RedisQueueHook(options.REDIS_CONN_ID.read(self.redis_conn_id))
            postgres_hook = BatchPostgresHook(options.POSTGRES_CONN_ID.read(self.postgres_conn_id))
            with contextlib.closing(redis_hook), postgres_hook.connect() as connection:
                create_state(connection)
                chosen = self._keys(params, redis_hook, connection)
                keys = self._usable(chosen, redis_hook, action)
                removed = self._act(action, keys, context, redis_hook, connection)
                shown = _count(params, "messages", 10) if action == "look" else 0
                self._show(keys, redis_hook, connection, shown)
            self.log.info("%s: done for %s", action, ", ".join(keys) or "no queue")
        return {"action": action, "queues": keys, "removed": removed}

    def _keys(
        self,
        params: Mapping[str, Any],
        redis_hook: RedisQueueHook,
        connection: psycopg.Connection[Any],
    ) -> list[str]:
        allowed = options.TABLES.read(self.tables)
        prefix = options.PREFIX.read(self.prefix)
        chosen = [str(name).strip() for name in params.get("tables") or []]
        if allowed.any_table:
            there = dict.fromkeys([*redis_hook.scan(prefix), *_held(connection, prefix)])
            found = [QueueKey.parse(key, prefix) for key in there]
            keys = [key for key in found if not chosen or key.table_name in chosen]
            # A queue can be held before its first message comes.
            absent = sorted({*chosen} - {key.table_name for key in keys})
            covered = verdicts(connection, absent)
            keys += [
                QueueKey.parse(f"{prefix}:{name}", prefix)
                for name in absent
                if covered[name] is Verdict.ALLOWED
            ]
        else:
            try:
                narrowed = allowed.only(chosen) if chosen else allowed
            except ValueError as error:
                raise ConfigurationError(f"The Param tables is {chosen!r}, but {error}.") from None
            keys = [QueueKey.parse(key, prefix) for key in narrowed.keys(prefix)]
        shard = params.get("shard")
        texts = [str(key) for key in keys if shard is None or key.shard == shard]
        if not texts and (chosen or shard is not None):
            known = ", ".join(map(str, keys)) or "none"
            raise ConfigurationError(
                f"There is no such queue; check the Params tables and shard. Queues: {known}."
            )
        return texts

    def _usable(self, keys: list[str], redis_hook: RedisQueueHook, action: str) -> list[str]:
        """Leave out keys that hold no queue: one of them must not keep the others from a hold."""
        usable: list[str] = []
        why = ""
        for key in keys:
            try:
                self._queue(redis_hook, key)
            except ConfigurationError as error:
                if action == "remove":
                    raise
                self.log.warning("left out: %s", error)
                why = why or str(error)
            else:
                usable.append(key)
        if keys and not usable and action in ("hold", "release"):
            raise ConfigurationError(
                f"{action}: done for no queue, as none of these is one: {', '.join(keys)}; {why}."
            )
        return usable

    def _act(
        self,
        action: str,
        keys: Sequence[str],
        context: Context,
        redis_hook: RedisQueueHook,
        connection: psycopg.Connection[Any],
    ) -> int:
        if action == "hold":
            self._warn_of_new(keys, redis_hook, connection)
            for key in keys:
                hold(connection, key, self._queue(redis_hook, key).baseline)
        elif action == "release":
            for key in keys:
                unhold(connection, key)
        elif action == "remove":
            key, count = _to_remove(keys, context["params"])
            if context["ti"].try_number > 1:
                raise ConfigurationError(
                    "Nothing was removed: this is not the first try, and an earlier one may have "
                    "removed messages. Look at the queue, and trigger the DAG anew."
                )
            ledger = Ledger(key, secrets.token_hex(16), run_of(context))
            return discard(
                self._queue(redis_hook, key),
                connection,
                ledger,
                count,
                lambda sentence: self.log.warning("%s", sentence),
            )
        return 0

    def _warn_of_new(
        self,
        keys: Sequence[str],
        redis_hook: RedisQueueHook,
        connection: psycopg.Connection[Any],
    ) -> None:
        """Tell of queues that are held before they exist: a hold by a wrong name stops nothing."""
        absent = [each.key for each in redis_hook.survey(keys) if each.kind == "none"]
        known = positions(connection, absent)
        for key in absent:
            if key not in known or not known[key].applied:
                self.log.warning(
                    "%s does not exist yet, and is held for when its first message comes; check "
                    "the name if messages wait elsewhere",
                    key,
                )

    def _queue(self, redis_hook: RedisQueueHook, key: str) -> Queue:
        table = QueueKey.parse(key, options.PREFIX.read(self.prefix)).table_name
        left_push = options.LEFT_PUSH.read(self.left_push).covers(table)
        return redis_hook.open_queue(key, left_push=left_push)

    def _show(
        self,
        keys: Sequence[str],
        redis_hook: RedisQueueHook,
        connection: psycopg.Connection[Any],
        messages: int,
    ) -> None:
        known = positions(connection, keys)
        now = datetime.now(UTC)
        rows = []
        for key in keys:
            queue, position = self._queue(redis_hook, key), known.get(key)
            oldest = queue.peek(max(1, messages), reached(position))
            rows.append(queue_row(queue, position, oldest[:1], now))
            if messages and oldest:
                self.log.info("::group::Oldest messages of %s", key)
                for line in aligned(MESSAGE_HEAD, [message_row(each, now) for each in oldest]):
                    self.log.info("%s", line)
                self.log.info("::endgroup::")
        for line in aligned(QUEUE_HEAD, rows):
            self.log.info("%s", line)


def _held(connection: psycopg.Connection[Any], prefix: str) -> list[str]:
    """Return the queues on hold; Redis has no key of one whose first message has not come yet."""
    return [
        queue
        for queue, position in stopped(connection).items()
        if position.held and queue.startswith(f"{prefix}:")
    ]


def _count(params: Mapping[str, Any], name: str, default: int | None = None) -> int:
    value = params.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"The Param {name} must be a number of messages, from 1.")
    return min(value, MOST_MESSAGES) if name == "messages" else value


def _to_remove(keys: Sequence[str], params: Mapping[str, Any]) -> tuple[str, int]:
    """Return the one queue that messages are removed from, and how many."""
    if len(keys) != 1:
        raise ConfigurationError(
            f"Messages are removed from one queue at a time, but {len(keys)} are chosen: choose "
            "one table, and its shard where it has any."
        )
    count = _count(params, "remove")
    if params.get("confirm") != keys[0]:
        raise ConfigurationError(
            f"Nothing was removed: the Param confirm has to be the queue's key, {keys[0]}, to "
            f"remove its oldest {count} messages for good."
        )
    return keys[0], count
