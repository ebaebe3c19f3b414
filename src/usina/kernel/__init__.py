"""The hall: jobs, runners, the event log and artifacts; it knows no web framework."""
