"""From segments into the database, exactly once."""
