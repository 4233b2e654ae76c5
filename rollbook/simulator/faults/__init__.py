"""What can go wrong at the platform, by script or by a test."""
