"""The `tierwise demo` verbs."""
