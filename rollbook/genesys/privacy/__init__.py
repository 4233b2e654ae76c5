"""People's data: which fields hold it, what is to become of it, and the change itself. Pure."""
