"""Models behind Cog servers: real ones of two generations, and one that does everything wrong."""
