"""``python -m detector`` is the command `isthmus`."""

from __future__ import annotations

from detector.cli.main import main

if __name__ == "__main__":
    main()
