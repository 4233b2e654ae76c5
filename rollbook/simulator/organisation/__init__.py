"""The organisation's truth: its conversations, from a seed, and what happens to them."""
