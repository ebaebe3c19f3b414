"""How often one may: rates, counted in memory or in Redis."""
