"""Traces: workers and feeders tell a collector what they do; and rows are what they are."""

from __future__ import annotations

import asyncio
import gzip
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.cli import Cli, stop
from tests.support.sinks import written
from workflows.server import DevServer

SPEC = """name = "t"
expression = 'duration_where(latest_event_to_state(state) == "buffer")'
[sink]
folder = "rows"
[limits]
allowed_lateness = "0s"
"""
EVENTS = [f'{{"key": "a", "time": {n * 1000}, "state": "{("play", "buffer")[n % 2]}"}}' for n in range(9)]


async def test_what_is_done_is_traced(tmp_path: Path) -> None:
    taken: dict[str, list[Span]] = defaultdict(list)

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = {a.key: a.value.string_value for a in resource.resource.attributes}
                assert about["service.name"] == "timeline"
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        taken[span.name].append(span)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as collector:
        Thread(target=collector.serve_forever, daemon=True).start()
        async with DevServer(tmp_path / "dev.db") as server:
            cli = Cli(server.address, tmp_path)
            cli.environment["TIMELINE_TRACES"] = "otlp"
            cli.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{collector.server_port}"
            (tmp_path / "t.toml").write_text(SPEC)
            (tmp_path / "e.jsonl").write_text("\n".join(EVENTS))
            worker = await asyncio.to_thread(cli.worker)
            await asyncio.to_thread(cli.good, "register", "t.toml")
            await asyncio.to_thread(cli.good, "feed", "t", "e.jsonl")
            assert await asyncio.to_thread(stop, worker) == 0
        collector.shutdown()
    assert len(written(tmp_path / "rows")) > 4
    assert taken["SignalWorkflow:events"]
    for sent in taken["SignalWorkflow:events"]:
        assert (
            sum(link.span_id == sent.span_id for span in taken["HandleSignal:events"] for link in span.links)
            == 1
        )
    assert taken["RunActivity:write_sink"]
    assert taken["QueryWorkflow:position"]


def test_what_is_wrong_is_said(local_cli: Cli) -> None:
    local_cli.environment["TIMELINE_TRACES"] = "jaeger"
    assert "TIMELINE_TRACES is otlp or none, got 'jaeger'" in local_cli.bad("list")
