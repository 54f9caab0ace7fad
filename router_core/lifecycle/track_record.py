"""What pushes promised and what came: each stored projection set against the traffic that arrived under it."""
