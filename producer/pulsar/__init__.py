"""Apache Pulsar: the connection, its admin API, names of topics, places in them, and rows of sinks.

Hands no names on: `admin` does without Pulsar's client, which the others load.
"""
