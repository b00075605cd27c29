#!/bin/sh
# pogctl inside a container: the five operations on the container's own log (read, write, clear, set configuration, set
# ring size), and two looks at its state.
#
# POSIX sh and nothing else of the image but cat, tail and grep, so that it works in busybox. Speaks to /run/pog, files that
# the POG's mount serves: one command line written to ctl, its answer ("ok ..." or "error ...") read from the same open file.
# Exit codes are those of pogctl on the host: 0 done, 1 refused or errors found, 2 wrong usage, 3 no POG here.

dir=${POGS_POG_DIR:-/run/pog}

usage() {
	cat <<'TEXT'
Usage: pogctl COMMAND [ARGUMENTS]

  read [-f]               print the log of this container; -f waits for more
  write [-p PRI] [TEXT]   add a record (each line of standard input without TEXT); PRI as user.notice or 0 to 191
  clear                   empty the log
  conf get                print the configuration in force (syslog.conf)
  conf set FILE           set it from FILE, or from standard input with -
  conf check              print what is wrong with it
  conf reset              go back to the host's default
  resize SIZE             change the size of the ring: 64k to 64m, the newest records stay
  status                  print how the log is served and what its configuration lacks
  stats                   print counters: records, bytes, losses and their reasons
  --help                  print this

Examples:
  pogctl write -p daemon.err 'disk is full'
  pogctl read | grep -c error
  echo '*.info /var/log/messages' | pogctl conf set -
TEXT
}

fail() {
	printf 'pogctl: %s\n' "$2" >&2
	exit "$1"
}

wrong() {
	fail 2 "$1, see pogctl --help"
}

# The operation on ctl: succeeds after "ok ...", tells what "error ..." says.
control() {
	[ -w "$dir/ctl" ] || fail 3 "Cannot reach the log of this container at $dir/ctl: is a POG mounted at $dir?"
	exec 3<>"$dir/ctl"
	# A refused command fails the write as well; the answer says why.
	printf '%s\n' "$1" 2>/dev/null >&3
	answer=
	read -r answer <&3
	exec 3>&-
	case $answer in
	ok*) return 0 ;;
	error*) printf 'pogctl: %s\n' "${answer#error }" >&2 ;;
	*) printf 'pogctl: No answer from %s\n' "$dir/ctl" >&2 ;;
	esac
	return 1
}

# code WORD NAME...: the place of WORD in the list, from 0.
code() {
	word=$1
	shift
	number=0
	for name in "$@"; do
		case $name in "$word" | "$word"=* | *="$word") return 0 ;; esac
		number=$((number + 1))
	done
	return 1
}

# Facilities and severities as in syslog.h; sets pri.
priority() {
	case $1 in
	*.*)
		code "${1%.*}" kern user mail daemon auth syslog lpr news uucp cron authpriv ftp ntp security console cron2 \
			local0 local1 local2 local3 local4 local5 local6 local7 || wrong "Unknown facility \"${1%.*}\""
		pri=$((number * 8))
		code "${1##*.}" emerg=panic alert crit err=error warning=warn notice info debug ||
			wrong "Unknown severity \"${1##*.}\""
		pri=$((pri + number))
		;;
	'' | *[!0-9]*) wrong "Unknown priority \"$1\"" ;;
	*)
		pri=$1
		if [ "${#1}" -gt 3 ] || [ "$1" -gt 191 ]; then wrong "Priority $1 is not between 0 and 191"; fi
		;;
	esac
}

write_record() {
	pri=13
	while [ $# -gt 0 ]; do
		case $1 in
		-p) [ $# -ge 2 ] || wrong 'Option -p needs a priority'; priority "$2"; shift 2 ;;
		-p*) priority "${1#-p}"; shift ;;
		--) shift; break ;;
		-*) wrong "Unknown option \"$1\"" ;;
		*) break ;;
		esac
	done
	if [ $# -gt 0 ]; then
		control "write <$pri>$*"
		return
	fi
	while IFS= read -r line || [ "$line" ]; do
		control "write <$pri>$line" || return
	done
}

# Diagnostics have the form FILE:LINE:COLUMN: LEVEL: MESSAGE.
conf_check() {
	show status | grep -E ':[0-9]+:[0-9]+: (error|warning): '
	! show status | grep -qE ':[0-9]+:[0-9]+: error: '
}

show() {
	[ -r "$dir/$1" ] || fail 3 "Cannot read $dir/$1: is a POG mounted at $dir?"
	cat "$dir/$1"
}

conf() {
	case ${1-} in
	get) show syslog.conf ;;
	set)
		[ $# -eq 2 ] || wrong 'Command "conf set" needs a file, or -'
		[ -w "$dir/syslog.conf" ] || fail 3 "Cannot write $dir/syslog.conf: is a POG mounted at $dir?"
		[ "$2" = - ] || [ -r "$2" ] || fail 1 "Cannot read $2"
		if [ "$2" = - ]; then cat; else cat -- "$2"; fi >"$dir/syslog.conf" || exit 1
		conf_check >&2
		;;
	check) conf_check ;;
	reset) control 'conf reset' ;;
	*) wrong "Unknown command \"conf ${1-}\"" ;;
	esac
}

command=${1-}
[ $# -eq 0 ] || shift
case $command in
read)
	case "$*" in
	'') show log ;;
	-f) [ -r "$dir/log" ] || fail 3 "Cannot read $dir/log: is a POG mounted at $dir?"; exec tail -n +1 -f "$dir/log" ;;
	*) wrong "Unknown argument \"$*\"" ;;
	esac
	;;
write) write_record "$@" ;;
clear) control clear ;;
conf) conf "$@" ;;
resize) [ $# -eq 1 ] || wrong 'Command "resize" needs a size'; control "resize $1" ;;
status | stats) show "$command" ;;
--help | -h | help) usage ;;
'') usage >&2; exit 2 ;;
*) wrong "Unknown command \"$command\"" ;;
esac
