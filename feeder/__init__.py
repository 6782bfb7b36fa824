"""The feeder: brings events, batch by batch, to the leaves of the timelines on a source."""
