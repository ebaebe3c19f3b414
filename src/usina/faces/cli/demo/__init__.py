"""`usina demo`: real jobs through the real API, their artifacts left in a folder."""
