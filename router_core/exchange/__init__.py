"""Every way in and out: logs and reports of other tools become decisions and spend, and ours become theirs."""
