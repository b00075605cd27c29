// Plays the engine for test/keeper/keeper.test.ts: reports how it was started, and obeys one word from its control file.
import { closeSync, fstatSync, openSync, readFileSync, rmSync, watchFile, writeSync } from 'node:fs'
const [, , directory, sysModule] = process.argv
const { connectNotifySocket, NotifyMessages } = await import(sysModule)
const count = Number(process.env.LISTEN_FDS ?? 0)
const names = (process.env.LISTEN_FDNAMES ?? '').split(':').slice(0, count)
const report = {
	pid: process.pid,
	ours: process.env.LISTEN_PID === String(process.pid),
	names,
	inodes: names.map((_, i) => fstatSync(3 + i).ino),
	watchdogUs: Number(process.env.WATCHDOG_USEC),
}
const log = openSync(`${directory}/starts`, 'a')
writeSync(log, `${JSON.stringify(report)}\n`)
const socket = connectNotifySocket(process.env.NOTIFY_SOCKET, 1000)
const messages = new NotifyMessages()
const say = (text, fd) => messages.send(socket, text, fd)
const words = {
	keep: name => {
		const fd = openSync(`${directory}/${name}`, 'a+')
		say(`FDSTORE=1\nFDNAME=${name}\nFDPOLL=0`, fd)
		closeSync(fd)
	},
	forget: name => say(`FDSTOREREMOVE=1\nFDNAME=${name}`),
	ready: () => say('READY=1'),
	exit: code => process.exit(Number(code)),
	stop: () => {
		say('STOPPING=1')
		process.exit(0)
	},
	// In the same turn: the keeper must read what was said before it looks at the death.
	keepAndDie: name => {
		words.keep(name)
		process.kill(process.pid, 'SIGKILL')
	},
	hang: () => {
		for (;;);
	},
}
process.on('SIGTERM', () => words.stop())
const beat = setInterval(() => say('WATCHDOG=1'), 100)
beat.unref()
const ask = () => {
	let text = ''
	try {
		text = readFileSync(`${directory}/say`, 'utf8')
		rmSync(`${directory}/say`)
	} catch {}
	for (const line of text.split('\n').filter(Boolean)) {
		const [word, argument] = line.split(' ')
		words[word](argument)
		writeSync(log, `done ${line}\n`)
	}
}
words.ready()
setInterval(ask, 10)
