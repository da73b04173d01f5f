#!/bin/sh
# A class as a Slurm array of eight shards: sbatch grader/class/manifests/slurm.sh, from the course's folder, which all
# nodes see. Compute nodes need no network, but bubblewrap and user name spaces.
#SBATCH --job-name=tinykv-class
#SBATCH --array=1-8
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --time=08:00:00
set -eu
export SHARDS="${SLURM_ARRAY_TASK_COUNT:-8}"
export SUBMISSIONS="${SUBMISSIONS:-$PWD/submissions}" REPORT="${REPORT:-$PWD/report}"
# Nodes share the course's folder, so each shard has a workshop and a target folder of its own on its node's disk.
scratch="${TMPDIR:-/tmp}/tinykv-class-${SLURM_JOB_ID:-0}"
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$scratch"
export CARGO_TARGET_DIR="$scratch/target"
sh grader/class/manifests/shard.sh --work "$scratch/work" "$@"
