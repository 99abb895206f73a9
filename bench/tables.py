"""What the tables of all rows share."""
import statistics
import sys

WORDS = {True: "reached", False: "missed", None: "not measured"}


def number(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.2f}"


def median(row_results, contestant):
    samples = row_results.get(contestant, {}).get("samples")
    return statistics.median(samples) if samples else None


def print_table(table, right):
    """The first line is the header; `right` names the columns whose cells are flush right."""
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    print()
    for line in table:
        cells = [f"{cell:>{width}}" if i in right else f"{cell:<{width}}" for i, (cell, width) in enumerate(zip(line, widths))]
        print("  ".join(cells).rstrip())


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
