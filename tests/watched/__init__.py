"""One small API on every framework, watched, and drivers that see what a server sees."""
