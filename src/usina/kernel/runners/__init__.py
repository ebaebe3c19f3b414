"""Runners: any program as a supervised process, cold or warm. Nothing here knows of jobs."""
