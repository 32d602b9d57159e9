"""Safehold: a pipeline for the most sensitive telemetry, whose promises can be checked."""
