#!/bin/sh
# table.sh RESULTS "CHECK...": lines of DRIVER CHECK RESULT as a Markdown table, a row for each runtime.
awk -v checks="$2" '
	BEGIN {
		count = split(checks, names, " ")
		line = "| runtime |"
		rule = "| --- |"
		for (i = 1; i <= count; i++) { line = line " " names[i] " |"; rule = rule " --- |" }
		print line
		print rule
	}
	{ if (!($1 in seen)) { seen[$1] = 1; order[++rows] = $1 }; cell[$1, $2] = $3 }
	END {
		for (r = 1; r <= rows; r++) {
			line = "| " order[r] " |"
			gsub("_", " + ", line)
			for (i = 1; i <= count; i++) line = line " " (cell[order[r], names[i]] == "" ? "-" : cell[order[r], names[i]]) " |"
			print line
		}
	}' "$1"
