"""`tierwise trial` and `tierwise plan-evidence`: prove a preview, and what proof costs."""
