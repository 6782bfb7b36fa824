"""Feeding from files: the log of the files that a source has had, from where the leaves stand to its end."""

from feeder.files.feed import Progress, Report, feed_files
from feeder.files.identity import describe_file
from feeder.files.log import FileLog
from feeder.files.marking import MarkError, mark_files

__all__ = ["FileLog", "MarkError", "Progress", "Report", "describe_file", "feed_files", "mark_files"]
