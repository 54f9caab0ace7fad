"""The `tierwise rollup` verbs."""
