"""Where commands that go on are looked after: ports of several processes, what is said as JSON."""

from __future__ import annotations

import json
import logging

import pytest

from timeline.cli.logs import LogFormat, LogLevel, set_up
from timeline.cli.observing import Observed
from timeline.cli.options import UsageError


def test_each_process_has_ports_of_its_own() -> None:
    observed = Observed("127.0.0.1:9464", "[::1]:9500", LogFormat.JSON, LogLevel.INFO)
    assert [observed.environment(n)["TIMELINE_METRICS_ADDRESS"] for n in (0, 1, 2)] == [
        "127.0.0.1:9464",
        "127.0.0.1:9465",
        "127.0.0.1:9466",
    ]
    assert observed.environment(1) == {
        "TIMELINE_METRICS_ADDRESS": "127.0.0.1:9465",
        "TIMELINE_HEALTH_ADDRESS": "[::1]:9501",
        "TIMELINE_LOG_FORMAT": "json",
        "TIMELINE_LOG_LEVEL": "info",
    }


def test_ports_end_at_65535() -> None:
    with pytest.raises(UsageError, match="with 2 processes is beyond port 65535"):
        Observed("127.0.0.1:65535").environment(1)


def test_ports_of_several_processes_are_far_enough_apart() -> None:
    near = Observed("127.0.0.1:9464", "127.0.0.1:9465")
    assert near.environment(0)["TIMELINE_HEALTH_ADDRESS"] == "127.0.0.1:9465"
    with pytest.raises(UsageError, match="too near to each other for 2 processes"):
        near.environment(1)


def test_all_that_is_said_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        say = set_up(LogFormat.JSON, LogLevel.WARNING)
        say('ready: "here"')
        logging.getLogger("a.b").warning("look at %s", "this")
        logging.getLogger("a.b").info("not this")
    finally:
        root.handlers[:], root.level = handlers, level
    out, err = capsys.readouterr()
    said, logged = json.loads(out), json.loads(err)
    assert (said["message"], said["level"], said["logger"]) == ('ready: "here"', "info", "timeline")
    assert (logged["message"], logged["level"], logged["logger"]) == ("look at this", "warning", "a.b")
