"""The gateway: an OpenAI-compatible HTTP endpoint that routes, answers and records."""
