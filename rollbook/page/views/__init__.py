"""What each page shows, made of what was read: values for the templates. Pure."""
