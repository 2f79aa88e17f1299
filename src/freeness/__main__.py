"""``python -m freeness`` is the command ``freeness``."""

from __future__ import annotations

from freeness.cli import main

if __name__ == "__main__":
    main()
