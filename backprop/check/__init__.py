"""Which cells of somebody's sheet are wrong, and what the slip may be."""
