"""The life of a configuration: pushed as a version, live everywhere within a second, rolled back in one step."""
