#!/bin/sh
# table.sh RESULTS "CHECK..." "CHECK...": lines of DRIVER CHECK RESULT as Markdown tables, a row for each runtime: one table for each list of checks,
# with the rows that have any of them.
results=$1
shift
for checks; do
	awk -v checks="$checks" '
	BEGIN {
		count = split(checks, names, " ")
		for (i = 1; i <= count; i++) wanted[names[i]] = 1
	}
	$2 in wanted && !(($1, $2) in cell) { if (!($1 in seen)) { seen[$1] = 1; order[++rows] = $1 }; cell[$1, $2] = $3; hits[$1]++ }
	END {
		kept = 0
		# A row belongs to the table that has all of its checks.
		for (r = 1; r <= rows; r++) if (hits[order[r]] == total(order[r])) kept++
		if (!kept) exit
		line = "| runtime |"
		rule = "| --- |"
		for (i = 1; i <= count; i++) { line = line " " names[i] " |"; rule = rule " --- |" }
		print line
		print rule
		for (r = 1; r <= rows; r++) {
			if (hits[order[r]] != total(order[r])) continue
			line = "| " title(order[r]) " |"
			for (i = 1; i <= count; i++) line = line " " (cell[order[r], names[i]] == "" ? "-" : cell[order[r], names[i]]) " |"
			print line
		}
		print ""
	}
	{ all[$1]++ }
	function total(driver) { return all[driver] }
	function title(driver) {
		if (driver ~ /^systemd_/) sub("systemd_", "systemd in ", driver)
		else if (driver ~ /^workload_/) sub("workload_", "", driver)
		else if (driver == "rootless") driver = "podman, rootless"
		else if (driver == "rootless_runc") driver = "podman with runc, rootless"
		gsub("_", " + ", driver)
		return driver
	}' "$results"
done
