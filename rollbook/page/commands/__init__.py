"""Commands that show the store to a browser."""
