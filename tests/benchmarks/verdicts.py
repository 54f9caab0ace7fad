"""The table of a benchmark: what was measured, as a ratio, beside its bar and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Verdicts:
    """Lines of the table; ``check`` prints them and fails where a bar is missed."""

    lines: list[tuple[str, float, float, bool]] = field(default_factory=list)

    def at_most(self, name: str, ratio: float, bar: float) -> None:
        """Note a ratio that is to be no more than its bar."""
        self.lines.append((name, ratio, bar, False))

    def at_least(self, name: str, ratio: float, bar: float) -> None:
        """Note a ratio that is to be no less than its bar."""
        self.lines.append((name, ratio, bar, True))

    def check(self) -> None:
        """Print the table; fails where a bar is missed."""
        print("\n\nname | ratio | bar | verdict")
        missed = []
        for name, ratio, bar, at_least in self.lines:
            held = ratio >= bar if at_least else ratio <= bar
            print(f"{name} | {ratio:.3g} | {'>=' if at_least else '<='} {bar:g} | {'holds' if held else 'MISSED'}")
            if not held:
                missed.append(name)
        assert not missed
