"""The entry of the program: `flowglass` and `python -m flowglass`.

Rule: Ctrl-C ends it with its exit code from the first moment on, while modules are still loaded.
"""

import sys

from flowglass.fields.errors import INTERRUPTED


def main() -> None:
    """Run the program; never returns."""
    try:
        from flowglass.app.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
