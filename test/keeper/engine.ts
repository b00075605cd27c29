/** Plays the engine for keeper.test.ts: says how it was started, and obeys what is written into its directory, a word a line. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { connectNotifySocket, NotifyMessages } from '../../src/sys/notify-socket.ts'

const directory = process.argv[2] ?? ''
const { env } = process
const count = Number(env['LISTEN_FDS'] ?? 0)
const names = (env['LISTEN_FDNAMES'] ?? '').split(':').slice(0, count)
const log = openSync(`${directory}/starts`, 'a')
const report = {
	pid: process.pid,
	ours: env['LISTEN_PID'] === String(process.pid),
	names,
	inodes: names.map((_, i) => fstatSync(3 + i).ino),
	watchdogUs: Number(env['WATCHDOG_USEC']),
}
writeSync(log, `${JSON.stringify(report)}\n`)

const socket = connectNotifySocket(env['NOTIFY_SOCKET'] ?? '', 1000)
const messages = new NotifyMessages()

function say(text: string, fd?: number): void {
	messages.send(socket, text, fd)
}

function keep(name: string): void {
	const fd = openSync(`${directory}/${name}`, 'a+')
	say(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, fd)
	closeSync(fd)
}

function stop(): never {
	say('STOPPING=1')
	process.exit(0)
}

const WORDS: Readonly<Record<string, (argument: string) => void>> = {
	keep,
	forget: name => say(`FDSTOREREMOVE=1\nFDNAME=${name}`),
	exit: code => process.exit(Number(code)),
	// In one turn: the keeper must read what was said before it looks at the death.
	keepAndDie: name => {
		keep(name)
		process.kill(process.pid, 'SIGKILL')
	},
	hang: () => {
		while (count >= 0);
	},
}

process.on('SIGTERM', stop)
say('READY=1')
setInterval(() => say('WATCHDOG=1'), 100)
setInterval(() => {
	if (!existsSync(`${directory}/say`)) return
	const lines = readFileSync(`${directory}/say`, 'utf8').split('\n')
	rmSync(`${directory}/say`)
	for (const line of lines) {
		const [word = '', argument = ''] = line.split(' ')
		WORDS[word]?.(argument)
	}
}, 10)
