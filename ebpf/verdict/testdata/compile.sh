#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Compiles the packet programs of the tests, each by its name in cases.bpf.c, into the
# directory of this script, or the one that is named.
set -eu
here=$(dirname "$0")
to=${1:-$here}
for name in $(sed -n 's/^#\(el\)\{0,1\}if defined(\([A-Z]*\)).*/\2/p' "$here/cases.bpf.c"); do
	object=$to/$(echo "$name" | tr A-Z a-z).o
	clang-14 -O2 -mcpu=v3 -g -Wall -Werror -target bpfel "-D$name" -I/usr/include/x86_64-linux-gnu -c "$here/cases.bpf.c" -o "$object"
	llvm-strip-14 -g -R .BTF.ext -R .rel.BTF.ext "$object"
done
