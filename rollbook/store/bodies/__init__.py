"""Bodies of events and details: zstd frames, and the dictionaries that they are packed with."""
