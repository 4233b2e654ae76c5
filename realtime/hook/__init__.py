"""The alert hook: alerts that wait in the store, sent to a command or an address until they are taken."""
