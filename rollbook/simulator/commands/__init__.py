"""The command `rollbook simulate`."""
