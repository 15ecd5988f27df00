"""`imcm`, and `python -m imcm`: an interrupt ends it in one line, also while it still loads."""

import sys


def main() -> None:
    """Run the command line of this process."""
    try:
        from imcm.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("imcm: interrupted\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
