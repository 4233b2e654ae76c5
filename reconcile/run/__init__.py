"""One run over a window: reading, comparing, writing, and what is asked by id."""
