"""How much a request needs a stronger tier: one percentile score 0..100, from rules, a fitted scorer or a reference."""
