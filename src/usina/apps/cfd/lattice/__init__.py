"""Slow flow through a bed by the lattice Boltzmann method."""
