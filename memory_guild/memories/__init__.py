"""What one does with memories: store, read, change, forget."""
