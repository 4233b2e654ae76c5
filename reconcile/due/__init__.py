"""What is due, and when somebody looks."""
