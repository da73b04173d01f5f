#!/bin/sh
# Grades one shard of a class, on whatever machine gave us a number.
#
#   SHARDS=8 SUBMISSIONS=/in REPORT=/out sh shard.sh [more options of `cargo grade class`]
#
# The number comes from a Kubernetes indexed Job (from 0), a Slurm array (from 1), or SHARD (from 1). Each shard writes
# into a folder of its own below REPORT; `cargo grade class merge WHOLE REPORT/*` puts them together.
set -eu
: "${SHARDS:?how many shards there are}" "${SUBMISSIONS:?the folder of submissions}" "${REPORT:?the folder for reports}"
if [ -n "${JOB_COMPLETION_INDEX:-}" ]; then
    shard=$((JOB_COMPLETION_INDEX + 1))
elif [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    shard=$SLURM_ARRAY_TASK_ID
else
    shard=${SHARD:?the number of this shard}
fi
code=0
cargo grade class "$SUBMISSIONS" --out "$REPORT/$shard" --shard "$shard/$SHARDS" "$@" || code=$?
# 1 says that a person should look at some submission: the shard is done all the same, and must not be run again for it.
[ "$code" -le 1 ] || exit "$code"
