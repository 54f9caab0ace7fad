"""Tierwise's core: score a request, route it, answer it, record it, and project what a change would do."""
