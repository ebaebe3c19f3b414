"""The event log: appended with the change it tells of, read by every channel."""
