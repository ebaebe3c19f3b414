"""What a 3D printer wants to know of a surface, and the file that it takes."""
