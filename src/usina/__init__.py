"""Usina: a self-hosted platform that turns uploads into artifacts by heavy programs."""

__version__ = "0.1.0"
