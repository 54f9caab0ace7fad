"""The `tierwise run` verbs."""
