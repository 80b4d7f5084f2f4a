"""``python -m trackersplat``: the command ``trackersplat``."""

from trackersplat.cli import main

if __name__ == "__main__":
    main()
