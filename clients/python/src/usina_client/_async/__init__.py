"""The client, written once. The package beside it, `_sync`, is generated from this one."""
