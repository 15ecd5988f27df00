"""
Run one command in a new process, and print its seconds and the most memory it held.

    python -I -S benchmarks/launch.py OUTPUT PROGRAM [ARGUMENTS]

What the command prints goes to the file OUTPUT. Printed are its seconds from start to end, by the
wall clock, and kilobytes. This is a program of its own, and as small as one can be, since a child's
most memory begins with what its parent held when it started it.
"""

import os
import sys
import time


def main() -> None:
    """Run it and print what it took."""
    output, *words = sys.argv[1:]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    to_file = [(os.POSIX_SPAWN_OPEN, 1, output, flags, 0o600)]
    begin = time.perf_counter()
    child = os.posix_spawn(words[0], words, os.environ, file_actions=to_file)
    _, status, used = os.wait4(child, 0)
    seconds = time.perf_counter() - begin
    held = used.ru_maxrss / 1024 if sys.platform == "darwin" else used.ru_maxrss
    print(seconds, held)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
