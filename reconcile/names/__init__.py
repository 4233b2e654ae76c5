"""Names for ids: which kinds are due to be listed, and listing them."""
