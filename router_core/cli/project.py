"""The `tierwise project` verbs."""
