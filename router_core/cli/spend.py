"""The `tierwise spend` verbs."""
