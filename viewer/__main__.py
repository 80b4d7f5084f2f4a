"""``python -m viewer``: the command ``trackersplat-view``."""

from viewer.app import main

if __name__ == "__main__":
    main()
