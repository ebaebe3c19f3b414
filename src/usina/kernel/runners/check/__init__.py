"""The contract, tried on any runner folder by really running its program."""
