"""What both programs share: the platform's API, the store, the simulator, and the umbrella command."""
