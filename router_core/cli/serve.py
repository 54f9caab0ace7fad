"""The `tierwise serve` verbs."""
