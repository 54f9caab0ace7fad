"""What a routing plan costs from traffic, tokens, mix and prices alone, in exact decimal arithmetic, without a log."""
