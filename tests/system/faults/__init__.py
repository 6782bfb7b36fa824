"""Random schedules of faults on the real server: ``python -m tests.system.faults --schedules 100``.

Worker, feeders and server are processes of their own and are killed with SIGKILL; whatever happens, every
node of every key must in the end be what local evaluation says, and every event accepted or refused.
"""
