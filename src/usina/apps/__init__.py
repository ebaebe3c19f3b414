"""The rooms: each a folder that declares its models; they never import each other."""
