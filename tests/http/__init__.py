"""The HTTP face."""  # noqa: A005  # a package of tests, not the module
