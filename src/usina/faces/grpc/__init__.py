"""The gRPC window: `usina.v1.Jobs`, the services of the rooms, health and reflection."""
