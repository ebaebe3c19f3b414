"""Moving a platform: its objects first, then its rows, then it may be used."""
