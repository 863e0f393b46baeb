"""SQLite as a Django database engine: Django looks for it in `base` within this package."""
