"""From a frame to a row: what waits, and how a batch is stored."""
