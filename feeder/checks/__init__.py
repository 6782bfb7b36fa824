"""What the workflows hold, compared with local evaluation of the same events."""

from feeder.checks.comparison import Comparison, Difference
from feeder.checks.dry_run import compare
from feeder.checks.topic import Check, check_topic

__all__ = ["Check", "Comparison", "Difference", "check_topic", "compare"]
