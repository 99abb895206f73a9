#!/bin/sh
# Instructions per operation of cosy's rows: writes bench/instructions.txt, or compares with it (--check).
exec python3 "$(dirname "$0")/run.py" --instructions "$@"
