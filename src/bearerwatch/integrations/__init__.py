"""One file a framework or authentication library. Each brings facts to ``observe`` and nothing else."""
