"""`tierwise claims`: published savings claims beside what their own inputs give."""
