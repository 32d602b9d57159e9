"""What telemetry looks like: the eight streams, as recorders send them and as they rest."""
