"""What the platform says of conversations: notifications, details, and the facts in both."""
