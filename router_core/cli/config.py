"""The `tierwise config` verbs."""
