"""Writing the rows of sinks: the activity, and the writers of files."""
