#!/bin/sh -e
# launcher.sh DIRECTORY PROGRAM...: makes DIRECTORY/PROGRAM, an executable that loads the compiled PROGRAM.js beside it.
# Run once at build; Node itself follows symbolic links to it, so bin/ may hold links.

directory=$1
shift
for program; do
	printf '#!/usr/bin/env node\nimport "./%s.js"\n' "$program" >"$directory/$program"
	chmod 755 "$directory/$program"
done
