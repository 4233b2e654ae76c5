"""The views that people ask for: their rows, their settings, and reports of them."""
