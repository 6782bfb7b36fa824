"""Files of events (JSON Lines, CSV, Parquet) read straight into columns, block by block.

A file is read in blocks of bounded size. Every event keeps the line (Parquet: the row) it came
from, and one that cannot be read is reported with its line and the reason, never dropped in
silence and never fatal to the rest.
"""

from timeline.reading.model import Block, Rejected, TimeUnit
from timeline.reading.opening import count_lines, read_events

__all__ = ["Block", "Rejected", "TimeUnit", "count_lines", "read_events"]
