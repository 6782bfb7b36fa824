"""Everything fails in turn, on a real cluster of two hosts: ``python -m tests.outage``.

Worker, one host of two, both, and PostgreSQL are killed or ended while files are fed and while a topic is
streamed; then all at once: worker, hosts, PostgreSQL, broker and feeder. No command may end by it, and in
the end every node of every key must be what local evaluation says.
"""
