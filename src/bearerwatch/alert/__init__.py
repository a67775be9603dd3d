"""From an episode to a person or a machine: what is said, to whom, and the proof that it arrived."""
