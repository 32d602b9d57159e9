"""``python -m safehold``."""

from safehold.cli import main

if __name__ == "__main__":
    main()
