"""Telemetry of enrolled devices over the network: by HTTP, and through a queue (NATS JetStream); one meaning."""
