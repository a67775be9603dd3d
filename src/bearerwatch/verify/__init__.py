"""Token validation for teams whose framework has no library for it, correct by the book and telling what was wrong.

Needs the extra ``verify``. Nothing here is imported by the rest of the app side.
"""
