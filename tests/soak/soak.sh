#!/bin/sh
# soak.sh SOAK WITH_URING PROCESSES - what `make soak` runs: SOAK_SECONDS (120) with SOAK_CLIENTS (200) at a time, on each backend or on
# COSY_BACKEND alone; then SOAK_PROCESSES (10000) programs.
set -eu
soak=$1
with_uring=$2
processes=$3
for backend in ${COSY_BACKEND:-uring epoll}; do
    gate=''
    [ "$backend" != uring ] || gate=$with_uring
    echo "--- $backend"
    # Without io_uring the gate says so, by status 77.
    COSY_BACKEND=$backend $gate "$soak" --seconds "${SOAK_SECONDS:-120}" --clients "${SOAK_CLIENTS:-200}" || [ $? = 77 ]
    COSY_BACKEND=$backend $gate "$processes" --count "${SOAK_PROCESSES:-10000}" || [ $? = 77 ]
done
