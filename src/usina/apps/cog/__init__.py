"""Models behind servers that speak Cog's HTTP API: they join the catalogue by their address."""
