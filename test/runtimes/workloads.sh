# shellcheck shell=sh disable=SC2154,SC2034,SC2016,SC2329,SC2015
# Daemons at work, in two containers at a time: apache2 and mariadb with syslog as their log, nginx with its files. What a client did is the truth: each
# request and query carries a number of its own, and is to be found once, in its own container.

workload_checks='apache2 mariadb nginx image isolation frees'
workload_requests=300

workload_runc_missing() { has runc && image_missing; }
workload_runc_up() { make_wrapper runc && mkdir "$work/daemons"; }
workload_runc_start() {
	for name in A B; do
		id=$tag-$driver-$name
		image_root "$work/daemons/$name" || return 1
		mkdir -p "$work/$id" && ln -sfn "$work/daemons/$name/root" "$work/$id/rootfs"
		make_bundle runc "$id" "
			spec.root.path = '$work/daemons/$name/root'
			for (const set of ['bounding', 'effective', 'permitted'])
				spec.process.capabilities[set] = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'SETGID', 'SETUID', 'NET_BIND_SERVICE', 'KILL'].map(name => 'CAP_' + name)" &&
			"$work/pogs-runc" --root "$work/state-daemons" run -d --bundle "$work/$id" "$id" </dev/null >"$work/$id.log" 2>&1 || { cat "$work/$id.log"; return 1; }
	done
}
workload_runc_exec() { runc --root "$work/state-daemons" exec "$tag-workload_runc-$1" sh -c "$2"; }
workload_runc_stop() { "$work/pogs-runc" --root "$work/state-daemons" delete --force "$tag-workload_runc-$1"; }
workload_runc_down() {
	for name in A B; do workload_runc_stop $name; done
	for name in A B; do umount -l "$work/daemons/$name/root" "$work/daemons/$name"; done
}
workload_runc_image() { find "$work/daemons/$1/upper/var/log" -mindepth 1 2>/dev/null; }

workload_docker_missing() { docker_missing && image_missing; }
workload_docker_up() { docker_up && tar -C "$work/image" -c . | docker_ import - pogs-daemons; }
workload_docker_start() {
	for name in A B; do
		docker_ run -d --runtime pogs --network none --name "$tag-$name" -e "POGS_NAME=$tag-$driver-$name" pogs-daemons /bin/sleep 1000 || return 1
	done
}
workload_docker_exec() { docker_ exec "$tag-$1" /bin/sh -c "$2"; }
workload_docker_stop() { docker_stop "$1"; }
workload_docker_down() { docker_down; }
workload_docker_image() { docker_ diff "$tag-$1" | grep ' /var/log/'; }

# tally FILE WORD: how often each number is there; each is to be there once.
tally() {
	grep -o "$2[0-9]*=" "$1" | sort | uniq -c | awk -v wanted="$workload_requests" -v word="$2" '
		$1 != 1 { wrong++ }
		END { print word, NR, "of", wanted, "once,", wrong + 0, "more often"; exit NR != wanted || wrong }'
}

# arrived WORD FILE: every number of A is in A's file, and none of B's, and the other way about.
arrived() {
	for name in A B; do
		tries=0
		until inside $name "cat $2" >"$mine/$1-$name" && tally "$mine/$1-$name" "$1-$name-" >"$mine/tally"; do
			tries=$((tries + 1))
			[ $tries -lt 20 ] || { cat "$mine/tally"; tail -n 3 "$mine/$1-$name"; return 1; }
			sleep 0.2
		done
	done
	! grep -q -e "$1-B-" "$mine/$1-A" && ! grep -q -e "$1-A-" "$mine/$1-B"
}

# both SCRIPT: in A and B at once; NAME in it is theirs.
both() {
	inside A "NAME=A; $1" >"$mine/both-A" 2>&1 &
	beside=$!
	inside B "NAME=B; $1" >"$mine/both-B" 2>&1
	other=$?
	wait $beside && [ $other -eq 0 ] || { tail -n 5 "$mine/both-A" "$mine/both-B"; return 1; }
}

# Requests by one connection, with bash's own sockets: images have no client but ab, which has no numbers.
ask_all='exec 3<>/dev/tcp/127.0.0.1/PORT; i=0
	while [ $i -lt COUNT ]; do
		printf "GET /WORD-$NAME-$i= HTTP/1.1\r\nHost: x\r\n\r\n" >&3; i=$((i + 1))
	done
	printf "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" >&3; cat <&3 | grep -a -c "^HTTP/1.1"'
requests() { # WORD PORT
	script=$(printf '%s' "$ask_all" | sed -e "s/WORD/$1/" -e "s/PORT/$2/" -e "s/COUNT/$workload_requests/")
	printf "ip link set lo up 2>/dev/null; export NAME; bash -c '%s'" "$script"
}

check_apache2() {
	both "printf '%s\n' 'ErrorLog syslog:local1' 'MaxKeepAliveRequests 0' 'KeepAliveTimeout 30' \
			'CustomLog \"|/usr/bin/logger -t apache_access -p local2.info\" combined' >/etc/apache2/conf-enabled/zz-syslog.conf
		sed -i '/CustomLog/d; /ErrorLog/d' /etc/apache2/sites-enabled/*.conf
		echo 'local2.* /var/log/access' >>/etc/syslog.conf
		mkdir -p /run/apache2 /var/run/apache2; ls -ld /var/log/apache2; apachectl start && sleep 1" || return 1
	both "$(requests get 80)" || return 1
	arrived get /var/log/access
	status=$?
	both 'apachectl stop; sleep 0.5'
	return $status
}

check_mariadb() {
	both "echo 'daemon.* /var/log/queries' >>/etc/syslog.conf; echo 'user.* /var/log/queries' >>/etc/syslog.conf
		mkdir -p /run/mysqld && chown mysql:mysql /run/mysqld
		setsid mysqld_safe --syslog --user=mysql --skip-networking --plugin-load-add=server_audit --server-audit-logging=ON \
			--server-audit-output-type=syslog --server-audit-events=CONNECT,QUERY >/dev/null 2>&1 </dev/null &
		n=0; until mysqladmin -s ping >/dev/null 2>&1; do n=\$((n + 1)); [ \$n -lt 150 ] || exit 1; sleep 0.1; done
		i=0; while [ \$i -lt $workload_requests ]; do echo \"SELECT 'ask-\$NAME-\$i=';\"; i=\$((i + 1)); done | mysql -N >/dev/null" || return 1
	arrived ask /var/log/queries
	status=$?
	both 'mysqladmin shutdown'
	return $status
}

# Writes its own files: app files of the POG, in the directory that its package brought.
check_nginx() {
	both "rm -f /etc/nginx/sites-enabled/*; printf 'server { listen 127.0.0.1:8080; keepalive_requests 100000; root /var/www; }' >/etc/nginx/sites-enabled/x
		nginx" || return 1
	both "$(requests nginx 8080)" || return 1
	arrived nginx /var/log/nginx/access.log
	status=$?
	both 'nginx -s stop'
	return $status
}

# The image's own /var/log, with its owners, modes and links; and nothing that daemons wrote has reached the container's file system.
check_image() {
	for name in A B; do
		inside $name 'stat -c "%N %U:%G %a" /var/log/apache2 /var/log/nginx /var/log/btmp /var/log/README' >"$mine/stat-$name" 2>&1
		cat "$mine/stat-$name"
		grep -q "/var/log/apache2' root:adm 750" "$mine/stat-$name" && grep -q "/var/log/btmp' root:utmp 660" "$mine/stat-$name" || return 1
		written=$("${driver}_image" $name)
		[ ! "$written" ] || { echo "$written"; return 1; }
	done
	[ ! -s "$work/image/var/log/nginx/access.log" ]
}
