"""Customers and their photos: the server's side of the room, which never touches a pixel."""
