/**
 * The workloads of the paper in containers: Apache httpd and MariaDB with system logging on, a line for every request and query.
 *
 * Source of truth: httpd's mod_log_config and core (ErrorLog syslog:), logger(1); MariaDB's server_audit plugin. Every line carries the
 * container's name as its program, so that a shared log can be searched by container: the best that such a log offers.
 */
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Cpu, run, until } from '../harness/process.ts'
import { type Bundle, type Bundles, type BundleSpec, tmpfs } from './bundles.ts'
import { HOST_USR } from './roots.ts'

/** How a container logs: not at all, into its POG, or to a host's syslogd by its socket. */
export type Logging = 'none' | 'pogs' | { readonly devLog: string }

/** A workload in a container, ready to be asked. */
export interface Workload extends Bundle {
	/** Requests or queries a second, over so many of them. */
	load(count: number): Promise<number>
}

const APACHE_CONF = `ServerRoot /etc/apache2
ServerName container
PidFile /run/httpd.pid
DefaultRuntimeDir /run
User www-data
Group www-data
IncludeOptional mods-enabled/*.load
Listen 80
StartServers 1
ServerLimit 2
ThreadsPerChild 25
MaxRequestWorkers 50
MinSpareThreads 10
MaxSpareThreads 50
TypesConfig /etc/mime.types
DocumentRoot /var/www/html
<Directory /var/www>
Require all granted
</Directory>
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{Referer}i\\" \\"%{User-Agent}i\\"" combined
<IfDefine LOGGING>
ErrorLog syslog:local1
CustomLog "|/usr/bin/logger -t \${NAME} -p local2.info" combined
</IfDefine>
<IfDefine !LOGGING>
ErrorLog /dev/null
</IfDefine>
`

const isThere = (program: string): Promise<boolean> =>
	run(['sh', '-c', `command -v ${program}`]).then(
		() => true,
		() => false,
	)

/** What the workloads want and this machine lacks, in words; undefined when all is there. */
export const lackingFor = async (workload: 'httpd' | 'mariadb'): Promise<string | undefined> => {
	const programs =
		workload === 'httpd'
			? ['apache2', 'ab', 'logger', 'runc']
			: ['mariadbd', 'mariadb-slap', 'mariadb-install-db', 'runc']
	for (const program of programs) if (!(await isThere(program))) return `no ${program} here (bench/install-packages.sh)`
	return undefined
}

const logs = (logging: Logging): Pick<BundleSpec, 'pogs' | 'devLog'> =>
	typeof logging === 'object' ? { pogs: false, devLog: logging.devLog } : { pogs: logging === 'pogs' }

/** Puts the configuration of httpd into a root file system made by `hostRoot`. */
export const configureApache = (root: string): void =>
	writeFileSync(path.join(root, 'etc/apache2/evaluate.conf'), APACHE_CONF)

/** An Apache httpd in a container, which answers. */
export const startApache = async (
	bundles: Bundles,
	name: string,
	root: string,
	logging: Logging,
	annotations: Readonly<Record<string, string>> = {},
): Promise<Workload> => {
	const bundle = await bundles.start({
		name,
		root,
		annotations,
		...logs(logging),
		args: [
			'apache2',
			'-f',
			'/etc/apache2/evaluate.conf',
			'-D',
			'FOREGROUND',
			...(logging === 'none' ? [] : ['-D', 'LOGGING']),
		],
		env: [`NAME=${bundles.id(name)}`],
		mounts: [HOST_USR, tmpfs('/run'), tmpfs('/tmp', 'mode=1777')],
	})
	const inNetwork = ['nsenter', '-t', String(bundle.pid), '-n']
	const ask = async (count: number, cpu?: Cpu): Promise<string> =>
		(
			await run(
				[...inNetwork, 'ab', '-q', '-n', String(count), '-c', String(Math.min(16, count)), 'http://127.0.0.1/'],
				cpu,
			)
		).stdout
	await until(
		`httpd of ${name} answers`,
		() =>
			ask(1).then(
				() => true,
				() => false,
			),
		20_000,
		50,
	)
	return {
		...bundle,
		load: async count => {
			const said = await ask(count)
			const failed = Number(/^Failed requests:\s+(\d+)/m.exec(said)?.[1] ?? Number.NaN)
			const rate = Number(/^Requests per second:\s+([\d.]+)/m.exec(said)?.[1] ?? Number.NaN)
			if (failed !== 0 || Number.isNaN(rate)) throw new Error(`${name}: ${failed} requests failed:\n${said}`)
			return rate
		},
	}
}

const SCHEMA = `CREATE DATABASE IF NOT EXISTS mix; CREATE TABLE IF NOT EXISTS mix.item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40), n INT);
INSERT INTO mix.item (name, n) VALUES ${Array.from({ length: 1000 }, (_, at) => `('item ${at}', ${at})`).join(', ')};`

/** The fixed mix of queries: two reads by key, a range, an insert and an update. */
const MIX = [
	'SELECT name, n FROM mix.item WHERE id = 17',
	'SELECT name, n FROM mix.item WHERE id = 512',
	'SELECT COUNT(*), SUM(n) FROM mix.item WHERE id BETWEEN 100 AND 150',
	"INSERT INTO mix.item (name, n) VALUES ('new', 1)",
	'UPDATE mix.item SET n = n + 1 WHERE id = 17',
] as const

const SMALL =
	'--innodb-buffer-pool-size=16M --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=2 --performance-schema=OFF --skip-networking --skip-log-bin --user=root --aria-pagecache-buffer-size=1M --key-buffer-size=1M'.split(
		' ',
	)

/** An empty data directory, made once and copied for each container. */
export const installMariadb = async (directory: string): Promise<string> => {
	if (!existsSync(directory)) {
		mkdirSync(directory)
		const quiet = ['--skip-test-db', '--auth-root-authentication-method=normal', '--innodb-log-file-size=8M']
		await run(['mariadb-install-db', '--no-defaults', `--datadir=${directory}`, '--user=root', ...quiet])
	}
	return directory
}

/** A client of a server by its socket. */
export const mariadb = (socket: string, statements: string): Promise<unknown> =>
	run(['sh', '-c', 'printf %s "$0" | mariadb --no-defaults -uroot -S "$1"', statements, socket])

/** A MariaDB in a container, with the schema, which answers; its data directory is a copy of `template`. */
export const startMariadb = async (
	bundles: Bundles,
	name: string,
	root: string,
	template: string,
	logging: Logging,
	annotations: Readonly<Record<string, string>> = {},
): Promise<Workload & { readonly socket: string }> => {
	const data = `${template}-${name}`
	cpSync(template, data, { recursive: true })
	const audit = ['--plugin-load-add=server_audit', '--server-audit-logging=ON', '--server-audit-output-type=syslog']
	const ident = [
		`--server-audit-syslog-ident=${bundles.id(name)}`,
		'--server-audit-events=QUERY',
		'--server-audit-syslog-facility=LOG_LOCAL2',
	]
	const bundle = await bundles.start({
		name,
		root,
		annotations,
		...logs(logging),
		args: [
			'mariadbd',
			'--no-defaults',
			...SMALL,
			'--socket=/data/sock',
			...(logging === 'none' ? [] : [...audit, ...ident]),
		],
		mounts: [
			HOST_USR,
			tmpfs('/run'),
			tmpfs('/tmp', 'mode=1777'),
			{ destination: '/var/lib/mysql', source: data, options: ['bind'] },
			{ destination: '/data', source: data, options: ['bind'] },
		],
	})
	const socket = path.join(data, 'sock')
	await until(
		`mariadbd of ${name} answers`,
		() =>
			mariadb(socket, 'SELECT 1').then(
				() => true,
				() => false,
			),
		30_000,
		50,
	)
	await mariadb(socket, SCHEMA)
	return {
		...bundle,
		socket,
		load: async count => {
			const slap = [
				'mariadb-slap',
				'--no-defaults',
				'-uroot',
				'-S',
				socket,
				'--concurrency=4',
				'--create-schema=mix',
				'--csv',
			]
			const { stdout } = await run([
				...slap,
				`--number-of-queries=${count}`,
				'--delimiter=;',
				`--query=${MIX.join(';')}`,
			])
			/* --csv: engine, type, average seconds, minimum, maximum, clients, queries for each client */
			const seconds = Number(stdout.trim().split(',')[2])
			if (!(seconds > 0)) throw new Error(`${name}: mariadb-slap says ${stdout}`)
			return count / seconds
		},
	}
}
