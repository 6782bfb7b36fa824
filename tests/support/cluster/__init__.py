"""A real Temporal cluster for tests and benchmarks: the server of docker-compose.yml, on PostgreSQL.

Built once into the user's cache by Go (about seven minutes of CPU); PostgreSQL is Debian's.
"""
