"""The entry point `stagewright`. What only prints the version imports nothing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; exits with the codes of `cli.failures`."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from stagewright import __version__

        print(f"stagewright {__version__}")
        return
    from stagewright.cli.commands import app

    app(prog_name="stagewright")


if __name__ == "__main__":
    main()
