"""GPUs, by a stand-in of the driver's tool over real processes."""
