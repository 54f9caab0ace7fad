"""The `tierwise prices` verbs."""
