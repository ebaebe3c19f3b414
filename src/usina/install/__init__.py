"""Environments of real models, made from the recipes of their manifests."""
