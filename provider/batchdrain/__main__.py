"""The command line: `python -m batchdrain preflight`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict

_PREFLIGHT = """
Looks at everything that a drain relies on, and changes nothing: options, Airflow's settings, the
pool, both servers, the tables and their error tables, and the queues. Each finding is ok, info,
warning or error, with what to do about it.

Exits with 1 when a drain would fail (there is an error), with 0 otherwise. Run it where drains run,
or beside the scheduler: only where Airflow's metadata database can be reached does it know the
connections that were made in the UI, and the pools.
"""

_EXAMPLES = """
examples:
  python -m batchdrain preflight
  python -m batchdrain preflight --tables "orders, flights:4" --problems
  python -m batchdrain preflight --postgres-conn-id orders_db --json

Options that are left out come from section [batchdrain] of airflow.cfg, or AIRFLOW__BATCHDRAIN__...
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name and return its exit code."""
    chosen = _parser().parse_args(arguments)
    return _preflight(chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m batchdrain", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    preflight = commands.add_parser(
        "preflight",
        help="look whether drains can run, and what to do if not",
        description=_PREFLIGHT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = preflight.add_argument
    add("--tables", help="the tables to be drained, as the option tables has them")
    add("--prefix", help="the first part of the queues' keys")
    add("--postgres-conn-id", help="the connection to the target database")
    add("--redis-conn-id", help="the connection to the queues' server")
    add("--pool", help="the Airflow pool of the drains")
    add("--left-push", help="tables whose lists are filled with LPUSH, or *")
    add("--scope", help="scope columns and envelope members, such as tenant=client_id, or none")
    add("--problems", action="store_true", help="show warnings and errors only")
    add("--json", action="store_true", help="print an array of objects, for other programs")
    return parser


def _preflight(chosen: argparse.Namespace) -> int:
    # What Airflow logs on the way would stand between the lines of the table.
    logging.disable(logging.WARNING)
    from batchdrain.finding import Level
    from batchdrain.preflight.given import Given
    from batchdrain.preflight.look import look
    from batchdrain.preflight.pools import has_metadata
    from batchdrain.preflight.report import lines, verdict, would_fail

    if has_metadata():
        # Only a process that Airflow takes for a server finds connections that were made in the UI.
        os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")

    given = Given(**{name: getattr(chosen, name) for name in Given.__dataclass_fields__})
    findings = look(given)
    shown = [
        each
        for each in findings
        if not chosen.problems or each.level in (Level.WARNING, Level.ERROR)
    ]
    if chosen.json:
        print(json.dumps([asdict(each) for each in shown], indent=2))
    else:
        print("\n".join([*lines(shown), verdict(findings)]))
    return 1 if would_fail(findings) else 0


if __name__ == "__main__":
    sys.exit(main())
