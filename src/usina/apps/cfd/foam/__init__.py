"""Flow through a bed by OpenFOAM: its case, its programs under watch, its fields read back."""
