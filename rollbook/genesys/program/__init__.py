"""Needs of every program around the platform: settings, secrets, a terminal, an end."""
