"""The REST half: sign-in, limits, routes, and how the platform answers."""
