#!/usr/bin/env python3
"""Rebuilds every subject of a list and prints a Markdown table of the verdicts.

    examples/rates.py LIST [HOW-MANY] > table.md

LIST has one package URL or short form per line. The command is taken from $REBUILDER, else from the PATH.
"""

import json
import os
import subprocess
import sys
import time


def rebuild(subject):
    command = [os.environ.get("REBUILDER", "rebuilder"), "--quiet", "--json", "rebuild", subject]
    begun = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - begun
    result = json.loads(done.stdout)
    if "error" in result:
        return "inconclusive" if done.returncode == 4 else "refused", result["error"]["message"], seconds
    if result["verdict"] == "inconclusive":
        return "inconclusive", f"{result['stage']}: {result['reason']}", seconds
    return result["verdict"], "; ".join(filter(None, map(differences, result["outputs"]))), seconds


def differences(output):
    if output["released"] == output["rebuilt"]:
        return ""
    if output["rebuilt"] is None:
        return f"{output['name']} did not come out"
    if output["released"] is None:
        return f"{output['name']} came out"
    causes = (output["differs"] or {}).get("causes", [])
    shown = "; ".join(f"{cause['cause']} {cause['key']} ({cause['places']})" for cause in causes[:3])
    return f"{output['name']}: {shown or 'not compared'}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        subjects = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    if len(sys.argv) > 2:
        subjects = subjects[: int(sys.argv[2])]
    counts, rows = {}, []
    for subject in subjects:
        verdict, why, seconds = rebuild(subject)
        counts[verdict] = counts.get(verdict, 0) + 1
        why = why.replace("|", "\\|").replace("\n", " ")[:160]
        rows.append(f"| {subject.split('?')[0]} | {verdict} | {seconds:.0f} s | {why} |")
        print(verdict, subject, file=sys.stderr)
    total = len(subjects)
    print(", ".join(f"{count} of {total} {verdict} ({100 * count // total} %)" for verdict, count in sorted(counts.items())))
    print("\n| subject | verdict | time | what differs, or why it could not be told |\n|---|---|---|---|")
    print("\n".join(rows))


main()
