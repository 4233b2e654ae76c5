"""Commands that need the store alone."""
