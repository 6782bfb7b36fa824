"""Where events come from: what a source is, and a folder for each broker."""
