#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image. The course was packed beside it.
set -euo pipefail
apt-get update -q
apt-get install -y -q --no-install-recommends build-essential ca-certificates curl
export RUSTUP_HOME=/opt/rustup CARGO_HOME=/opt/cargo
curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y --profile minimal --no-modify-path
export PATH="$CARGO_HOME/bin:$PATH"
mkdir -p /opt/course /opt/work
tar -xzf /autograder/source/course.tar.gz -C /opt/course
# The user who will run students' code must not read the course.
chmod 700 /opt/course /autograder/source
cd /opt/course
cargo fetch --locked
# A starter is graded here, with the options of run_autograder, so that the image has all that submissions stand on: the judges,
# the reference's crates, and the reference's own score as a control. Else each submission would build that first, for many minutes.
work=$(mktemp -d)
mkdir -m 700 "$work/in"
cargo grade handout "$work/in/starter"
# shellcheck disable=SC2086 # options are words
cargo grade class "$work/in" --out "$work/out" ${CLASS_OPTIONS:---sandbox uid --open-network --work /opt/work}
rm -rf "$work"
