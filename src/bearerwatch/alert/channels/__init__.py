"""Where notices go. One file per kind of channel, found by its name; each defines ``class Channel``."""
