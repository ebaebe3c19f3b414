"""The graphics cards of a worker's machine: what they hold, whether they are well."""
