"""`omninode demo`: a whole market on one machine, told as it happens."""

from __future__ import annotations

from omninode.demo.options import DemoOptions


def main(options: DemoOptions) -> int:
    """Run the demo. Returns the exit code: 0 when every session and every attack went as expected."""
    if options.attack or (options.hostile and options.mode == "verified"):
        from omninode.demo.siege import besiege

        return besiege(options)
    if options.onchain:
        from omninode.demo.onchain import play

        return play(options)
    from omninode.demo.run import run

    return run(options)


__all__ = ["DemoOptions", "main"]
