"""Password hashing cheap enough for a demonstration that logs in many times a second."""

from __future__ import annotations

from django.contrib.auth.hashers import ScryptPasswordHasher


class SampleHasher(ScryptPasswordHasher):
    """Scrypt at a fraction of its usual cost. Do not copy this one."""

    work_factor = 2**12
    parallelism = 1
