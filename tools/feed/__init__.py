"""A small consumer of the feed for other systems, to begin one's own with."""
