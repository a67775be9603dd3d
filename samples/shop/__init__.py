"""What the three samples share: a small shop's seed data, its tokens and its log."""
