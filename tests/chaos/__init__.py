"""`make chaos`: drains, PostgreSQL and Valkey are killed again and again; then all has to add up.

Three queues, a stream and two lists, get records all the time, and each kill falls on the drain of
one of them: at a step that the drain is stopped at, or at some moment. Whatever is left behind is
left there for the next drain. Valkey writes each change to the disk before it answers, so that
nothing that it has confirmed may be missing in the end.
"""
