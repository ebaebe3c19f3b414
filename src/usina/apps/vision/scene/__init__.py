"""Lines that are crossed and zones that are entered."""
