#!/usr/bin/env python3
"""Runs cosy, the hand-written limits and the installed peers side by side; see README.md."""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing is written beside the sources

import instructions
import net
import net_rows
import peers
import rows
from rows import SCALED_ROWS
from tables import WORDS, median, number, print_table, progress

ROWS = {**rows.ROWS, **net_rows.ROWS}

TIMEOUT_S = 180


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", metavar="DIR", help="where to build and to write results (default: build)")
    parser.add_argument("--cosy", metavar="PROGRAM", help="cosy's own rows, built already (default: built through CMake)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds, interleaved over all (default: 5)")
    parser.add_argument("--row", action="append", choices=list(ROWS), help="only this row (may be repeated)")
    parser.add_argument("--net", action="store_true", help="the rows of the network, and only those")
    parser.add_argument("--peer", action="append", choices=list(dict.fromkeys((*peers.CONTESTANTS, *net.CONTESTANTS))),
                        help="only this one, beside cosy")
    parser.add_argument("--quick", action="store_true", help="a tenth of each size and one round: does it all work?")
    parser.add_argument("--instructions", action="store_true", help="count cosy's instructions with callgrind instead")
    parser.add_argument("--check", action="store_true", help="with --instructions: compare with bench/instructions.txt")
    return parser.parse_args()


def programs_wanted(row_names, arguments):
    """The programs that these rows need, cosy's first."""
    if arguments.instructions:
        return ["cosy"]
    wanted = dict.fromkeys(["cosy"])
    if not all(is_net(name) for name in row_names):
        wanted.update(dict.fromkeys(name for name in arguments.peer or peers.CONTESTANTS if name in peers.CONTESTANTS))
    for name in row_names:
        if is_net(name):
            wanted.update(dict.fromkeys(net.CONTESTANTS[c][0] for c in net.contestants_of(ROWS[name], arguments)))
    return list(wanted)


def build_all(out, wanted, arguments):
    """Returns {program: command} and {program: why it is not there}."""
    commands, absent = {}, {}
    builders = {"cosy": lambda out: peers.build_cosy(out, arguments.cosy), "load": net.build_load, **peers.CONTESTANTS,
                **peers.NET_ONLY}
    for name in wanted:
        try:
            commands[name] = commands["limit"] if name in peers.VARIANTS and "limit" in commands else builders[name](out)
        except peers.Missing as missing:
            absent[name] = f"missing: {missing} is not installed (make bench-peers)"
        except (RuntimeError, OSError) as error:
            absent[name] = "does not build"
            print(f"{name} does not build:\n{error}", file=sys.stderr)
    return commands, absent


def is_net(row_name):
    return row_name in net_rows.ROWS


def allowed_cpus(count):
    cpus = sorted(os.sched_getaffinity(0))
    return set(cpus[-1:] if count == 1 else cpus[:count])


def run_once(command, row_name, row, contestant, size):
    """One sample. Copies are made twice, or whoever comes first would pay for memory that the machine has to find for
    the page cache, and the others would not."""
    if row_name.startswith("copy_"):
        sample(command, row_name, row, contestant, size)
    return sample(command, row_name, row, contestant, size)


def sample(command, row_name, row, contestant, size):
    """What the program says: (value, details). None: the row makes no sense there. A string: it failed, and why."""
    row_argument = peers.VARIANTS.get(contestant, {}).get(row_name, row_name)
    try:
        result = subprocess.run([*command, row_argument, str(size)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                timeout=TIMEOUT_S, preexec_fn=lambda: os.sched_setaffinity(0, allowed_cpus(row.cpus)))
    except subprocess.TimeoutExpired:
        return f"no result in {TIMEOUT_S} s"
    words = result.stdout.split()
    if result.returncode or not words:
        return (result.stderr.strip().splitlines() or [f"status {result.returncode}"])[-1][:100]
    if words[1] == "n/a":
        return None
    return float(words[1]), dict(word.split("=") for word in words[3:])


def size_of(row, contestant, quick):
    size = row.size_for(contestant)
    return size // 10 if quick and size >= 10_000 else size


def rounds_of(row, arguments):
    return 1 if arguments.quick or row.once else arguments.rounds


def contestants_of(row_name, commands, arguments):
    if is_net(row_name):
        return [c for c in net.contestants_of(ROWS[row_name], arguments)
                if net.CONTESTANTS[c][0] in commands and not (c.startswith("cosy") and arguments.cosy_is_off_net)]
    return [c for c in commands if (c == "cosy" or c in peers.CONTESTANTS)
            and (c not in peers.VARIANTS or row_name in peers.VARIANTS[c])]


def sample_all(commands, row_names, arguments):
    """{row: {contestant: {"samples": [...], "details": {...}, "failed": text, "size": n}}}, interleaved over contestants."""
    results = {name: {} for name in row_names}
    most = max((rounds_of(ROWS[name], arguments) for name in row_names), default=0)
    for turn in range(most):
        for row_name in row_names:
            row = ROWS[row_name]
            if turn >= rounds_of(row, arguments):
                continue
            for contestant in contestants_of(row_name, commands, arguments):
                cell = results[row_name].setdefault(contestant, {"samples": []})
                if turn and not cell["samples"]:
                    continue
                progress(f"round {turn + 1}/{most}: {row_name} {contestant}")
                if is_net(row_name):
                    take_net_sample(cell, commands, row, contestant, arguments)
                else:
                    take_sample(cell, commands[contestant], row_name, row, contestant, arguments)
    progress("")
    return results


def take_net_sample(cell, commands, row, contestant, arguments):
    outcome = net.sample(commands["load"], commands, contestant, row, arguments.quick)
    if isinstance(outcome, str):
        cell["failed"] = outcome
    elif outcome:
        cell["samples"].append(outcome[0])
        cell.setdefault("all_details", []).append(outcome[1])


def take_sample(cell, command, row_name, row, contestant, arguments):
    size = size_of(row, contestant, arguments.quick)
    outcome = run_once(command, row_name, row, contestant, size)
    cell["size"] = size
    if isinstance(outcome, str):
        cell["failed"] = outcome
    elif outcome:
        value, cell["details"] = outcome
        full = size_of(row, "cosy", arguments.quick)
        cell["samples"].append(value * full / size if row_name in SCALED_ROWS else value)


def judge(row, row_results):
    """[(what is to be reached, what was, True/False/None)]; None: a side is not there."""
    own, verdicts = median(row_results, "cosy"), []
    for kind, bound in row.reach:
        if kind == "below":
            text = f"at most {bound:,} {row.unit}"
            verdicts.append((text, number(own), None if own is None else own <= bound))
            continue
        other = median(row_results, kind)
        text = {"limit": f"at most {bound}x the limit"}.get(kind, f"1/{bound} of {kind}" if bound > 1 else f"ahead of {kind}")
        if own is None or other is None:
            verdicts.append((text, "-", None))
        elif kind == "limit":
            verdicts.append((text, f"{own / other:.2f}x", own / other <= bound))
        else:
            verdicts.append((text, f"1/{other / own:.2f}", other / own >= bound and own < other))
    return verdicts


def judgement(name, row_results):
    return (net.judge if is_net(name) else judge)(ROWS[name], row_results)


def print_row(name, row, row_results):
    clock = {"cpu": "CPU time", "wall": "wall clock", "memory": "resident + page tables"}[row.clock]
    print(f"\n{name}: {row.title} ({row.unit}, {clock})")
    own = median(row_results, "cosy")
    for contestant, cell in row_results.items():
        samples = cell["samples"]
        if not samples:
            if "failed" in cell:
                print(f"  {contestant:<14} failed: {cell['failed']}")
            continue
        middle = statistics.median(samples)
        ratio = f"{middle / own:>9.2f}x cosy" if own and contestant != "cosy" else " " * 15
        notes = [f"{key[:-3].replace('_', ' ')} {value} ns" for key, value in cell.get("details", {}).items()]
        if cell["size"] != row.size:
            notes.append(f"size {cell['size']:,}")
        spread = f"[{number(min(samples))} - {number(max(samples))}]"
        print(f"  {contestant:<14}{number(middle):>10}  {spread:<24}{ratio}  {', '.join(notes)}".rstrip())
    for text, reached, verdict in judge(row, row_results):
        print(f"  reach: {text:<24} {reached:>9}   {WORDS[verdict]}")


def print_summary(results):
    header = ("row", "unit", "cosy", "limit", "cosy/limit", "best peer", "peer/cosy", "reach", "")
    table = [header]
    for name, row_results in results.items():
        row, own, limit = ROWS[name], median(row_results, "cosy"), median(row_results, "limit")
        others = {c: median(row_results, c) for c in row_results if c != "cosy" and c not in peers.HAND_WRITTEN}
        best = min((c for c, value in others.items() if value is not None), key=others.get, default=None)
        verdicts = judge(row, row_results)
        table.append((name, row.unit, number(own), number(limit), f"{own / limit:.2f}" if own and limit else "-",
                      f"{best} {number(others[best])}" if best else "-",
                      f"{others[best] / own:.1f}" if best and own else "-",
                      "; ".join(text for text, _, _ in verdicts),
                      "; ".join(WORDS[verdict] for _, _, verdict in verdicts)))
    print_table(table, right={2, 3, 4, 6})


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def write_json(out, results, absent):
    path = os.path.join(out, "results.json")
    rows = {name: {"unit": ROWS[name].unit, "clock": ROWS[name].clock, "contestants": cells,
                   "reach": [dict(zip(("what", "measured", "reached"), v)) for v in judgement(name, cells)]}
            for name, cells in results.items()}
    with open(path, "w") as file:
        json.dump({"machine": machine(), "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "rows": rows, "absent": absent},
                  file, indent=1)
    return path


def check_net(commands, absent):
    """What the network rows cannot do without ends the run; a cosy that cannot serve is left out of them, and named."""
    if "load" not in commands:
        sys.exit("the load generator is not there, and no row of the network without it")
    try:
        net.processors()
    except net.Failed as failed:
        sys.exit(str(failed))
    net.raise_descriptor_limit(20_000)
    reason = net.why_not(commands["cosy"]) if "cosy" in commands else None
    if reason:
        absent["cosy on the network"] = reason
    return reason


def main():
    arguments = parse_arguments()
    out = os.path.abspath(os.path.join(arguments.build, "bench-run"))
    os.makedirs(out, exist_ok=True)
    row_names = arguments.row or [name for name, row in ROWS.items() if (is_net(name) if arguments.net else not row.optional)]
    any_net = any(map(is_net, row_names)) and not arguments.instructions
    wanted = programs_wanted(row_names, arguments) + ["load"] * any_net
    commands, absent = build_all(out, wanted, arguments)
    if arguments.instructions:
        return instructions.run(commands.get("cosy"), arguments)
    if any_net:
        arguments.cosy_is_off_net = check_net(commands, absent)
    rig = machine()
    print(f"{rig['cpu']}, {rig['cpus']} cpus, kernel {rig['kernel']}, load {rig['load']:.2f} at the start; "
          f"median [min - max] of {1 if arguments.quick else arguments.rounds} interleaved rounds")
    started = time.monotonic()
    results = sample_all(commands, row_names, arguments)
    for name in row_names:
        (net.print_row if is_net(name) else print_row)(name, ROWS[name], results[name])
    for group, summary in ((False, print_summary), (True, lambda some: net.print_summary(ROWS, some))):
        some = {name: row_results for name, row_results in results.items() if is_net(name) == group}
        if some:
            summary(some)
    for name, reason in absent.items():
        print(f"{name}: {reason}")
    print(f"{time.monotonic() - started:.0f} s; written to {write_json(out, results, absent)}")
    return 0 if "cosy" in commands else 1


if __name__ == "__main__":
    sys.exit(main())
