/** Plays the engine for keeper.test.ts: says how it was started, and obeys what is written into its directory, a word a line. */
import { closeSync, existsSync, fstatSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { connectNotifySocket, NotifyMessages } from '../../src/sys/notify-socket.ts'
import { LEAVE_SIGNAL } from '../../src/lib/leave-signal.ts'

const directory = process.argv[2] ?? ''
const { env } = process
const keeper = process.ppid
if (existsSync(`${directory}/die`)) {
	writeFileSync(`${directory}/died`, '')
	process.exit(7)
}
const messages = new NotifyMessages()
const standby = env['POGS_STANDBY'] !== undefined
const log = openSync(`${directory}/starts`, 'a')
const inherited = standby ? standBy(Number(env['POGS_STANDBY'])) : given()
const names = inherited.map(([name]) => name)
const report = {
	pid: process.pid,
	ours: env['LISTEN_PID'] === String(process.pid),
	standby,
	names,
	inodes: inherited.map(([, fd]) => fstatSync(fd).ino),
	watchdogUs: Number(env['WATCHDOG_USEC']),
}

const socket = connectNotifySocket(env['NOTIFY_SOCKET'] ?? '', 10_000)

function say(text: string, ...descriptors: readonly number[]): void {
	messages.send(socket, text, ...descriptors)
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
	stop,
	// In one turn: the keeper must read what was said before it looks at the death.
	keepAndDie: name => {
		keep(name)
		process.kill(process.pid, 'SIGKILL')
	},
	hang: () => {
		while (process.ppid === keeper);
	},
	standby: wanted => say(`X_POGS_STANDBY=${wanted}`),
}

function given(): [string, number][] {
	const count = Number(env['LISTEN_FDS'] ?? 0)
	const all = (env['LISTEN_FDNAMES'] ?? '').split(':').slice(0, count)
	return all.map((name, i) => [name, 3 + i])
}

/** Says that it waits, and does. */
function standBy(fd: number): [string, number][] {
	writeFileSync(`${directory}/standby`, `${process.pid}`)
	const all: [string, number][] = []
	for (;;) {
		const message = messages.receive(fd)
		if (typeof message === 'number' || message.text === '') process.exit(3)
		const found = /LISTEN_FDNAMES=(.*)/.exec(message.text)?.[1]?.split(':') ?? []
		all.push(...message.descriptors.map((each, i): [string, number] => [found[i] ?? '', each]))
		if (message.text.startsWith('GO=1')) return all
	}
}

process.on('SIGTERM', stop)
// Not before it can be asked to stop.
writeSync(log, `${JSON.stringify(report)}\n`)
for (const last of ['X_POGS_SERVES=1', 'STATUS=loading']) {
	if (!existsSync(`${directory}/die after ${last}`)) continue
	rmSync(`${directory}/die after ${last}`)
	keep('early')
	say(last)
	process.kill(process.pid, 'SIGKILL')
}
process.on(LEAVE_SIGNAL, () => {
	writeFileSync(`${directory}/left`, '')
	process.exit(0)
})
say('READY=1')
setInterval(() => {
	// The test process is gone, and with it who would end us.
	if (process.ppid !== keeper) process.exit(9)
	say('WATCHDOG=1')
}, 100)
setInterval(() => {
	if (!existsSync(`${directory}/say`)) return
	const lines = readFileSync(`${directory}/say`, 'utf8').split('\n')
	rmSync(`${directory}/say`)
	for (const line of lines) {
		const [word = '', argument = ''] = line.split(' ')
		WORDS[word]?.(argument)
	}
}, 10)
