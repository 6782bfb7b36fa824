"""Names of topics and of their partitions."""

from __future__ import annotations

import pulsar

from producer.pulsar.connection import failure
from timeline.errors import ServiceError


def full_name(topic: str) -> str:
    """A topic's name with domain, tenant and namespace.

    >>> full_name("plays"), full_name("acme/video/plays")
    ('persistent://public/default/plays', 'persistent://acme/video/plays')
    """
    if "://" in topic:
        return topic
    return f"persistent://{topic}" if topic.count("/") == 2 else f"persistent://public/default/{topic}"


def partition_name(topic: str, partition: int, count: int) -> str:
    """The topic that is one partition of ``count``; the topic itself if it is not partitioned (0).

    >>> partition_name("plays", 3, 4), partition_name("plays", 0, 0)
    ('persistent://public/default/plays-partition-3', 'persistent://public/default/plays')
    """
    return f"{full_name(topic)}-partition-{partition}" if count else full_name(topic)


def partitions(client: pulsar.Client, topic: str) -> int:
    """How many partitions a topic has; 0 if it is not partitioned, or not there. Blocks.

    Raises:
        ServiceError: the broker is not there or does not let us in.
    """
    try:
        names = client.get_topic_partitions(topic)
    except pulsar.TopicNotFound:
        return 0
    except pulsar.PulsarException as error:
        raise failure(error, "looking up a topic") from None
    except ValueError as error:
        raise ServiceError(f"{topic!r} is no name of a topic: {error}") from None
    return 0 if names == [full_name(topic)] else len(names)
