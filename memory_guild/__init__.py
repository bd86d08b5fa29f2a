"""Memory Guild: the data layer that AI agents trust with their memory."""
