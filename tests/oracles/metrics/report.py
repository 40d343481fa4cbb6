"""Lines of figures, and whether all of them agree."""


class Report:
    def __init__(self) -> None:
        self.failed = False

    def compare(self, name: str, published: float, ours: float, tolerance: float | None) -> None:
        """A tolerance is relative; without one the difference is only told."""
        difference = abs(ours - published) / max(abs(published), 1e-300)
        bad = tolerance is not None and not difference <= tolerance
        self.failed |= bad
        limit = "not limited" if tolerance is None else f"at most {tolerance:.0e}"
        print(
            f"{name}: published {published:.9g}, ours {ours:.9g}, "
            f"relative difference {difference:.1e} ({limit}){' FAILED' if bad else ''}",
            flush=True,
        )

    def finish(self) -> int:
        print("FAILED" if self.failed else "all agree")
        return int(self.failed)
