"""What every room's routes share: calls, bodies, queries, pages, problems, signed links."""
