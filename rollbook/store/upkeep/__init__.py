"""Upkeep of the file over years: backups, restoring one, how it grows, and giving free pages back."""
