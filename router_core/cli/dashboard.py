"""The `tierwise dashboard` verbs."""
