"""A port that listens: who may ask there, how many at a time, and for how long. Knows no HTTP library."""
