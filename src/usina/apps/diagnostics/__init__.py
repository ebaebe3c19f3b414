"""The diagnostic room: a model that does exactly what it is asked, for load and fault tests."""
