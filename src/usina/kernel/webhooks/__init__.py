"""Webhooks: events told to addresses outside, signed, again and again until they are heard."""
