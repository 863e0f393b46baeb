"""Become a program that does not outlive whoever started it: python -m tools.demo.parent_death PROGRAM [ARGUMENTS].

The supervisor stops its programs in order when it is asked to stop. This is for the supervisor that is killed.
"""

import os
import signal
import sys

from tools.rig.process import die_with_parent


def main(command: list[str]) -> None:
    die_with_parent(signal.SIGKILL)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
