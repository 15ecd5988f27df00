"""`imcm`, and `python -m imcm`: an interrupt ends it in one line, also while it still loads."""

import gc
import sys

_OF_COMMANDS = {"typer", "rich", "platformdirs", "click"}


def main() -> None:
    """Run the command line of this process."""
    gc.disable()  # what is loaded stays, so there is nothing to collect meanwhile
    try:
        from imcm.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("imcm: interrupted\n")
        sys.exit(130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _OF_COMMANDS:
            raise
        from imcm.errors import MissingExtraError

        sys.stderr.write(f"imcm: {MissingExtraError('the command line', 'cli')}\n")
        sys.exit(1)
    gc.freeze()
    gc.enable()
    run()


if __name__ == "__main__":
    main()
