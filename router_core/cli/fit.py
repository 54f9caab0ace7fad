"""The `tierwise fit` verbs."""
