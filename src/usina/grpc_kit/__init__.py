"""What gRPC services of every room share: how one is declared, who calls, and how it is refused."""

import os

# Before gRPC is loaded: its own log lines are not of our form, and no process of ours forks itself.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
