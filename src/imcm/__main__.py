"""`imcm`, and `python -m imcm`: an interrupt ends it in one line, also while it still loads."""

import gc
import sys


def main() -> None:
    """Run the command line of this process."""
    gc.disable()  # what is loaded stays, so there is nothing to collect meanwhile
    try:
        from imcm.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("imcm: interrupted\n")
        sys.exit(130)
    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
