"""OpenTelemetry traces, as an option: what the SDK's interceptor sees of clients, workflows and activities.

Nothing of it is imported unless ``TIMELINE_TRACES=otlp`` asks for it: then spans go to where the variables of
OpenTelemetry (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its kin) say.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from timeline.errors import ServiceError

if TYPE_CHECKING:
    from temporalio.contrib.opentelemetry import TracingInterceptor

#: Milliseconds that spans which are on their way have when a process ends.
GRACE = 2_000
_flush: list[Callable[[], object]] = []


def interceptors() -> list[TracingInterceptor]:
    """What a client is to be given, and by it its worker; nothing unless the environment asks for it.

    Raises:
        ServiceError: it asks for something else, or what is needed is not installed.
    """
    wanted = os.environ.get("TIMELINE_TRACES") or "none"
    if wanted == "none":
        return []
    if wanted != "otlp":
        raise ServiceError(f"TIMELINE_TRACES is otlp or none, got {wanted[:20]!r}")
    return [_interceptor()]


def flush() -> None:
    """Sends what was not sent yet. To be called before a process ends."""
    for work in _flush:
        work()


@lru_cache
def _interceptor() -> TracingInterceptor:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from temporalio.contrib.opentelemetry import TracingInterceptor
    except ImportError:
        raise ServiceError(
            'TIMELINE_TRACES=otlp needs more: pip install "timeline-analytics[traces]"'
        ) from None
    # Resource.create also reads what the environment says of it, but has a name of its own for the service.
    name = os.environ.get("OTEL_SERVICE_NAME") or "timeline"
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _flush.append(lambda: provider.force_flush(GRACE))
    return TracingInterceptor(provider.get_tracer("timeline"))
