"""What every program around the platform needs: settings, secrets, a terminal, an end."""
