"""Requests to the platform: sign-in, pacing, retries, and what counts as an answer."""
