"""Programs that stand in for real models: upstream's options, folders, words and failures."""
