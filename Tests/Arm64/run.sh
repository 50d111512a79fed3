#!/usr/bin/env bash
# The kernels' NEON version on an emulated arm64 processor: against the scalar reference, and the exact sums of int8 weights
# against this processor's own.
#
# apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross; clang is Swift's.
# Usage: Tests/Arm64/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c11 -O2 -Wall -Wextra -Werror -D_POSIX_C_SOURCE=200809L -I Sources/CKernels/include)
sources=(Tests/Arm64/kernels.c Sources/CKernels/*.c)
clang "${flags[@]}" "${sources[@]}" -lm -o "$work/here"
for source in "${sources[@]}"; do
    clang --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include "${flags[@]}" -c "$source" \
        -o "$work/$(basename "$source" .c).o"
done
aarch64-linux-gnu-gcc -static "$work"/*.o -lm -o "$work/arm64"
"$work/here" | tee "$work/here.txt"
qemu-aarch64 "$work/arm64" | tee "$work/arm64.txt"
digests=$(sed 's/.*digest //' "$work/here.txt" "$work/arm64.txt" | sort -u | wc -l)
[ "$digests" = 1 ] || { echo "int8 products differ between processors" >&2; exit 1; }
