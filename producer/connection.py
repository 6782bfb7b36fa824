"""Stub."""

from __future__ import annotations

import os

import pulsar


def service_url() -> str:
    return os.environ.get("PULSAR_SERVICE_URL") or "pulsar://localhost:6650"


def connect() -> pulsar.Client:
    return pulsar.Client(service_url(), logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))


def partitions(client: pulsar.Client, topic: str) -> int:
    names = client.get_topic_partitions(topic)
    return 0 if names == [full_name(topic)] else len(names)


def full_name(topic: str) -> str:
    if "://" in topic:
        return topic
    return f"persistent://{topic}" if topic.count("/") == 2 else f"persistent://public/default/{topic}"


def partition_name(topic: str, partition: int, count: int) -> str:
    return f"{full_name(topic)}-partition-{partition}" if count else full_name(topic)
