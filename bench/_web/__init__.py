"""One file a framework: the bare application, and the variants of it. Each runs in a process of its own."""
