"""The Python client of Usina."""
