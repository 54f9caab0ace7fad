"""How much evidence an interval of a wanted width takes: replays or days of exploration, each with its price."""
