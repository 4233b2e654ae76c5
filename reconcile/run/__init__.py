"""A run over a window: reading, comparing, writing, and questions by id."""
