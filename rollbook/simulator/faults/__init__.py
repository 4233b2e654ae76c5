"""Faults of the platform, by script or by a test."""
