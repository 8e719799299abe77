#!/usr/bin/env python3
"""Builds the release preset and runs its tests; a test that passed and depends on nothing changed is not run again.

usage: tools/check [--label L[,L...]] [--all] [--preset P] [--jobs N] [--list]

  --label   only tests with one of these labels (default: unit task component hostile system attest clients breakout)
  --all     run also what is unchanged since it passed
  --preset  a CMake preset: release (default), debug, asan, tsan
  --jobs    of build and tests (default: the number of processors)
  --list    say what would run, and why

A test counts as unchanged if all of these have the same content as when it passed: its command and environment,
the executables that it may start (its own for a unit test, all of the build otherwise), every file of the
source tree that is neither compiled nor Markdown (configuration, scripts, pictures), and the versions of the
Debian packages. A lint, which is a script and reads the tree, depends on every file of it.
Tests labelled long or bench are never part of it. Exit status: 0 passed, 1 a test failed or the build, 64 usage.
"""
import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_LABELS = "unit,task,component,hostile,system,attest,clients,breakout"
NEVER = {"long", "bench"}
COMPILED = {".cc", ".h", ".c"}
BEGIN = time.monotonic()


def say(text):
    print(f"{time.monotonic() - BEGIN:7.1f} s  {text}", flush=True)


def run_build(command, log):
    """Streams every tenth line or so, so that a person sees it move; on failure shows the end of it."""
    with open(log, "ab") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        tail, next_word = [], time.monotonic() + 5
        for line in process.stdout:
            sink.write(line.encode())
            tail = [*tail[-60:], line]
            if time.monotonic() >= next_word:
                say("  " + line.strip()[:110])
                next_word = time.monotonic() + 5
    if process.wait() != 0:
        sys.stderr.write("".join(tail))
        say(f"FAILED: {' '.join(command)}; all of it: {log}")
        sys.exit(1)


class Hasher:
    """Content digests of files, each read once."""

    def __init__(self):
        self.known = {}

    def file(self, path):
        path = str(path)
        if path not in self.known:
            try:
                with open(path, "rb") as source:
                    self.known[path] = hashlib.file_digest(source, "sha256").hexdigest()
            except OSError:
                self.known[path] = "absent"
        return self.known[path]

    def files(self, paths):
        return digest_of([[str(path), self.file(path)] for path in sorted(paths)])


def digest_of(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def tree_files():
    """Every file of the source tree."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True)
    if listed.returncode == 0:
        return [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in ROOT.rglob("*") if path.is_file() and "build" not in path.relative_to(ROOT).parts[:1]]  # an unpacked archive


def package_versions():
    wanted = [line.split("#")[0].strip() for line in (ROOT / "tools/deps/debian-packages.txt").read_text().splitlines()]
    done = subprocess.run(["dpkg-query", "-W", *filter(None, wanted)], capture_output=True, text=True)
    return done.stdout


def executables_of(build):
    out = []
    for folder in ("bin", "tests", "bench"):
        for path in (build / folder).rglob("*"):
            if path.is_file() and (os.access(path, os.X_OK) or path.suffix in (".so", ".toml")) and "CMakeFiles" not in path.parts:
                out.append(path)
    return out


def list_tests(build):
    done = subprocess.run(["ctest", "--test-dir", str(build), "--show-only=json-v1"], check=True, capture_output=True, text=True)
    for test in json.loads(done.stdout)["tests"]:
        properties = {entry["name"]: entry["value"] for entry in test.get("properties", [])}
        yield {"name": test["name"], "command": test.get("command", []), "labels": set(properties.get("LABELS", [])),
               "environment": properties.get("ENVIRONMENT", [])}


def key_of(test, hasher, shared, build):
    own = hasher.file(test["command"][0]) if test["command"] else "not built"
    # A unit test starts no program of ours; a script test depends on all of them.
    is_script = str(build) not in (test["command"] or [""])[0]
    alone = test["labels"] <= {"unit"}
    programs = "" if alone else shared["programs"]
    tree = shared["tree"] if is_script else shared["data"]
    # Vectors outside the tree decide what some tests do.
    vectors = os.environ.get("KEYWARD_VECTORS", "")
    return digest_of([test["command"], test["environment"], own, tree, shared["packages"], vectors, programs])


def run_tests(build, names, jobs):
    """ctest over these tests; returns the names that passed."""
    report = build / "check-report.xml"
    report.unlink(missing_ok=True)
    pattern = "^(" + "|".join(name.replace(".", r"\.").replace("+", r"\+") for name in names) + ")$"
    command = ["ctest", "--test-dir", str(build), "-R", pattern, "-j", str(jobs), "--output-on-failure", "--no-tests=error",
               "--output-junit", str(report), "--progress" if sys.stdout.isatty() else "--test-output-size-failed=65536"]
    if not sys.stdout.isatty():
        command.pop()
    subprocess.run(command)
    passed, skipped = [], []
    for case in xml.parse(report).getroot().iter("testcase"):
        if case.get("status") == "run" and case.find("failure") is None and case.find("skipped") is None:
            passed.append(case.get("name"))
        elif case.find("skipped") is not None:
            skipped.append(case.get("name"))
    return passed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="tools/check")
    parser.add_argument("--label", default=DEFAULT_LABELS, help=argparse.SUPPRESS)
    parser.add_argument("--all", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--preset", default="release", help=argparse.SUPPRESS)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    build = ROOT / "build" / options.preset
    build.mkdir(parents=True, exist_ok=True)
    log = build / "check.log"
    log.write_text("")

    say(f"configure (preset {options.preset})")
    run_build(["cmake", "--preset", options.preset], log)
    say("build")
    run_build(["cmake", "--build", str(build), "-j", str(options.jobs)], log)

    labels = set(options.label.split(","))
    tests = [test for test in list_tests(build) if test["labels"] & labels and not test["labels"] & NEVER]
    if not tests:
        say(f"no test has a label of {options.label}")
        return 64
    hasher = Hasher()
    tree = tree_files()
    data = [path for path in tree if path.suffix not in COMPILED and path.suffix != ".md"]
    shared = {"tree": hasher.files(tree), "data": hasher.files(data), "packages": digest_of(package_versions()), "programs": hasher.files(executables_of(build))}
    stamps = build / "check-passed"
    stamps.mkdir(exist_ok=True)
    keys = {test["name"]: key_of(test, hasher, shared, build) for test in tests}
    def unchanged(name):
        stamp = stamps / name
        return not options.all and stamp.is_file() and stamp.read_text() == keys[name]
    to_run = [name for name in keys if not unchanged(name)]
    kept = len(keys) - len(to_run)
    say(f"tests: {len(to_run)} to run, {kept} unchanged since they passed" + (" (--all runs them too)" if kept else ""))
    if options.list:
        print(*(f"  {'run  ' if name in to_run else 'keep '} {name}" for name in keys), sep="\n")
        return 0
    passed, skipped = run_tests(build, to_run, options.jobs) if to_run else ([], [])
    for name in passed:
        (stamps / name).write_text(keys[name])
    failed = [name for name in to_run if name not in passed and name not in skipped]
    for name in failed:
        (stamps / name).unlink(missing_ok=True)
    for label in sorted(labels):
        mine = [test["name"] for test in tests if label in test["labels"]]
        if mine:
            bad = sum(name in failed for name in mine)
            print(f"  {label:<10} {len(mine):>3} tests, {sum(name in to_run for name in mine):>3} run now, {bad} failed")
    for name in skipped:
        print(f"  skipped: {name}")
    for name in failed:
        print(f"  FAILED: {name}")
    say("failed" if failed else "passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
