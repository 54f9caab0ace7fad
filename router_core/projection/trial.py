"""Proving a preview: which moved requests to replay, what that costs, and the estimate that their graded answers give."""
