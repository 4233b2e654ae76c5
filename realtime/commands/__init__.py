"""Commands of the live side."""
