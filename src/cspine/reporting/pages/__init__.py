"""Pages for people, each one file that needs nothing beside it and no network."""
