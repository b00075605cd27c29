/**
 * The rows of the demo: the problems of Wang et al., "System log isolation for containers" (Front. Comput. Sci. 2025),
 * Table 1, and the same by operation, as in its Table 3. Each row does something real on both sides and looks at what came of it.
 *
 * Invariant: a cell holds only by what was read back, and the native side never clears, drains or floods the real log.
 */
import type { PogInfo } from '../../src/pog/info.ts'
import { runProgram } from './container.ts'
import type { Container } from './container.ts'
import type { Native } from './native.ts'
import type { Cell } from './table.ts'

export interface Scene {
	native: Native
	nativeRed: Container
	nativeBlue: Container
	red: Container
	blue: Container
	/** What this user may do with the real /dev/kmsg. */
	kernelLog: 'writable' | 'readable' | 'closed'
	/** Part of every token, so that nothing from before is taken for ours. */
	salt: string
	info(name: string): Promise<PogInfo>
}

export interface Problem {
	title: string
	native(scene: Scene): Promise<Cell>
	pogs(scene: Scene): Promise<Cell>
}

/** Shell functions that every container gets. Waits are bounded: 5 s. */
export const FUNCTIONS = `
seen() { i=0; while [ $i -lt 100 ]; do grep -qs -- "$1" $2 && return 0; i=$((i + 1)); sleep 0.05; done; return 1; }
has() { if grep -qs -- "$1" $2; then echo 1; else echo 0; fi; }
count() { cat $1 2>/dev/null | wc -l; }
kmsg() { dd if=/dev/kmsg iflag=nonblock bs=8192 2>/dev/null; }
prockmsg() { dd if=/proc/kmsg iflag=nonblock bs=65536 2>/dev/null; }
hits() { grep -c -- "$1"; }
:`

const NO_SYSLOGD: Cell = { verdict: 'untried', saw: 'no rsyslogd here, nor to be had by apt-get' }
const NO_KMSG: Cell = { verdict: 'untried', saw: 'this user may not use the real /dev/kmsg' }

function judge(isolated: boolean, saw: string): Cell {
	return { verdict: isolated ? 'holds' : 'broken', saw }
}

function untried(saw: string): Promise<Cell> {
	return Promise.resolve({ verdict: 'untried', saw })
}

/** Logs a token and sees it arrive; a row whose premise fails must not pass for a finding. */
async function known(container: Container, token: string): Promise<void> {
	const { code, out } = await container.run(`logger ${token}; seen ${token} /var/log/messages`)
	if (code !== 0) throw new Error(`"${token}", logged in "${container.name}", does not arrive there: ${out.trim()}`)
}

/** Times a token stands in the machine's own kernel log. */
async function hostHits(token: string): Promise<number> {
	const { out } = await runProgram('dd', ['if=/dev/kmsg', 'iflag=nonblock', 'bs=8192', 'status=none'])
	return out.split(token).length - 1
}

/** Writes one record to /dev/kmsg of a container and looks for it in its, in its neighbour's and in the host's. */
async function spread(scene: Scene, from: Container, to: Container, token: string): Promise<[number, number, number]> {
	await from.run(`echo '<12>${token}' >/dev/kmsg`)
	const host = scene.kernelLog === 'closed' ? 0 : await hostHits(token)
	return [await from.count(`kmsg | hits ${token}`), await to.count(`kmsg | hits ${token}`), host]
}

const configurationConflict: Problem = {
	title: 'Configuration conflict',
	async native({ native, nativeRed, salt }) {
		if (!native.hasSyslogd) return NO_SYSLOGD
		for (const name of ['red', 'blue']) await native.configure(`local1.* ${native.logs}/${name}.log`)
		await nativeRed.run(`logger -p local1.info conf-${salt}; seen conf-${salt} /var/log/messages`)
		const mine = await nativeRed.count(`has conf-${salt} /var/log/red.log`)
		const theirs = await nativeRed.count(`has conf-${salt} /var/log/blue.log`)
		return judge(
			mine === 1 && theirs === 0,
			`one syslog.conf, blue's replaced red's: red's line is in red.log ${mine} times, in blue.log ${theirs}`,
		)
	},
	async pogs({ red, blue, salt }) {
		for (const each of [red, blue]) {
			await each.run(`printf 'local1.* /var/log/${each.name}.log\\n*.* /var/log/messages\\n' >/etc/syslog.conf`)
		}
		await red.run(`logger -p local1.info conf-${salt}; seen conf-${salt} /var/log/red.log`)
		const mine = await red.count(`has conf-${salt} /var/log/red.log`)
		const theirs =
			(await blue.count(`has conf-${salt} '/var/log/*'`)) + (await red.count(`has conf-${salt} /var/log/blue.log`))
		const kept = await red.count('has red.log /etc/syslog.conf')
		return judge(
			mine === 1 && theirs === 0 && kept === 1,
			"each has its own: red's line in red.log only, red's rules still there",
		)
	},
}

const clearConflict: Problem = {
	title: 'Operation conflict: clear',
	async native({ native, nativeRed, nativeBlue, salt }) {
		if (!native.hasSyslogd) return NO_SYSLOGD
		await known(nativeBlue, `keep-${salt}`)
		await nativeRed.run(': >/var/log/messages')
		const left = await nativeBlue.count(`has keep-${salt} /var/log/messages`)
		return judge(
			left === 1,
			`red emptied its /var/log/messages: ${left} of 1 line of blue left. dmesg -C: not tried, it would clear this machine's log`,
		)
	},
	async pogs({ red, blue, salt }) {
		for (const each of [red, blue]) await known(each, `keep-${salt}`)
		const before = await blue.count('count /var/log/messages')
		await red.run('/run/pog/pogctl clear')
		const mine = await red.count(`has keep-${salt} /var/log/messages`)
		const after = await blue.count('count /var/log/messages')
		const kept = await blue.count(`has keep-${salt} /var/log/messages`)
		return judge(
			mine === 0 && kept === 1 && after === before,
			`red cleared its log; blue has all its ${before} lines still`,
		)
	},
}

const concurrentRead: Problem = {
	title: 'Operation conflict: concurrent read',
	native: () =>
		untried("/proc/kmsg has one position for the machine: reading would take records from the host's klogd"),
	async pogs({ red, blue, salt }) {
		for (const each of [red, blue]) {
			await each.run(`prockmsg >/dev/null; for n in 1 2 3; do echo "<12>read-${salt} $n" >/dev/kmsg; done`)
		}
		const [first, second] = await Promise.all([red, blue].map(each => each.count(`prockmsg | hits read-${salt}`)))
		return judge(
			first === 3 && second === 3,
			`both drained /proc/kmsg at once: red got ${first} of 3, blue got ${second} of 3`,
		)
	},
}

const namespaceEscape: Problem = {
	title: 'Namespace escape',
	async native(scene) {
		if (scene.kernelLog !== 'writable') return NO_KMSG
		const [, , host] = await spread(scene, scene.nativeRed, scene.nativeBlue, `escape-native-${scene.salt}`)
		return judge(host === 0, `red wrote to /dev/kmsg: ${host} line in the kernel log of the host`)
	},
	async pogs(scene) {
		const [own, , host] = await spread(scene, scene.red, scene.blue, `escape-pogs-${scene.salt}`)
		// The third way to the kernel log: syslog(2).
		const { out } = await scene.red.run('dmesg -S')
		const escaped = out.includes(`escape-native-${scene.salt}`)
		const answered = out.includes(`escape-pogs-${scene.salt}`) ? 'shows its own log' : 'is closed'
		return judge(
			own === 1 && host === 0 && !escaped,
			`red wrote to /dev/kmsg: ${own} line in its own log, ${host} in the host's; syslog(2) ${answered}`,
		)
	},
}

const informationLeakage: Problem = {
	title: 'Information leakage',
	async native(scene) {
		const { native, nativeRed, nativeBlue, salt, kernelLog } = scene
		if (native.hasSyslogd) await known(nativeBlue, `secret-${salt}`)
		if (kernelLog === 'writable') await nativeBlue.run(`echo '<12>secret-${salt}' >/dev/kmsg`)
		const shared = await nativeRed.count(`has secret-${salt} '/var/log/*'`)
		const kernel = await nativeRed.count(`kmsg | hits secret-${salt}`)
		const all = await nativeRed.count('kmsg | grep -vc "^ "')
		if (!native.hasSyslogd && all === 0) return NO_KMSG
		return judge(
			shared + kernel + all === 0,
			`red finds blue's secret ${shared + kernel} times, and ${all} records of the host's kernel`,
		)
	},
	async pogs({ red, blue, salt }) {
		await known(blue, `secret-${salt}`)
		await blue.run(`echo '<12>secret-${salt}' >/dev/kmsg`)
		const theirs = await blue.count(`{ cat /var/log/* /run/pog/log; kmsg; } 2>/dev/null | hits secret-${salt}`)
		const mine = await red.count(`{ cat /var/log/* /run/pog/*; kmsg; prockmsg; } 2>/dev/null | hits secret-${salt}`)
		const foreign = await red.count("kmsg | grep -v '^ ' | grep -vcE 'read-|escape-|<|pogs|keep-|conf-' || :")
		return judge(
			mine === 0 && theirs > 0,
			`red searched all its logs: 0 of blue's ${theirs} copies, ${foreign} of the host's records`,
		)
	},
}

const logLoss: Problem = {
	title: 'Log loss through other containers',
	async native({ native, nativeRed, nativeBlue, salt }) {
		if (!native.hasSyslogd) return NO_SYSLOGD
		await nativeRed.run(`logger precious-${salt}; seen precious-${salt} /var/log/messages`)
		await nativeBlue.run(
			`yes flood-${salt} | head -2000 | logger; logger end-${salt}; seen end-${salt} /var/log/messages`,
		)
		const left = await nativeRed.count(`has precious-${salt} /var/log/messages`)
		return judge(
			left === 1,
			`blue logged 2,000 lines into the shared, bounded log: ${left} of 1 line of red left. The kernel log: not tried`,
		)
	},
	async pogs(scene) {
		const { red, blue, salt } = scene
		await known(red, `precious-${salt}`)
		const before = (await scene.info('blue')).drops.overwritten
		await blue.run(`yes flood-${salt} | head -20000 | logger`)
		await known(blue, `end-${salt}`)
		const lost = (await scene.info('blue')).drops.overwritten - before
		const left = await red.count(`has precious-${salt} /var/log/messages`)
		return judge(left === 1 && lost > 0, `blue logged 20,000 lines: it lost ${lost} of its own (counted), red none`)
	},
}

const redundancy: Problem = {
	title: 'Log redundancy',
	async native(scene) {
		if (scene.kernelLog !== 'writable') return NO_KMSG
		const seen = await spread(scene, scene.nativeRed, scene.nativeBlue, `copy-native-${scene.salt}`)
		const copies = seen.reduce((sum, each) => sum + each, 0)
		return judge(copies === 1, `a record of red is read in ${copies} places: every reader stores a copy of everything`)
	},
	async pogs(scene) {
		const seen = await spread(scene, scene.red, scene.blue, `copy-pogs-${scene.salt}`)
		const copies = seen.reduce((sum, each) => sum + each, 0)
		return judge(copies === 1, `a record of red is read in ${copies} place: red`)
	},
}

const readOperation: Problem = {
	title: 'Read',
	async native({ nativeRed, kernelLog }) {
		if (kernelLog === 'closed') return NO_KMSG
		const all = await nativeRed.count('kmsg | grep -vc "^ "')
		return judge(all === 0, `red reads the whole machine's ${all} records`)
	},
	async pogs(scene) {
		const first = await scene.red.out('kmsg | cksum')
		await scene.blue.run('kmsg >/dev/null; prockmsg >/dev/null')
		const again = await scene.red.out('kmsg | cksum')
		const hosts = await scene.red.count(`kmsg | hits native-${scene.salt}`)
		return judge(first === again && hosts === 0, "red reads its own, the same before and after blue's reading")
	},
}

const writeOperation: Problem = {
	title: 'Write',
	async native(scene) {
		if (scene.kernelLog !== 'writable') return NO_KMSG
		const [own, other, host] = await spread(scene, scene.nativeRed, scene.nativeBlue, `write-native-${scene.salt}`)
		return judge(other + host === 0, `one record of red: in red ${own}, in blue ${other}, in the host ${host}`)
	},
	async pogs(scene) {
		const token = `write-pogs-${scene.salt}`
		await scene.red.run(`/run/pog/pogctl write -p daemon.err ${token}; seen ${token} /var/log/messages`)
		const own = await scene.red.count(`has ${token} /var/log/messages`)
		const other = await scene.blue.count(`has ${token} '/var/log/*'`)
		const host = scene.kernelLog === 'closed' ? 0 : await hostHits(token)
		return judge(
			own === 1 && other + host === 0,
			`one record of red: in red ${own}, in blue ${other}, in the host ${host}`,
		)
	},
}

const clearOperation: Problem = {
	title: 'Clear',
	native: () => untried("dmesg -C has one clear point for the machine: it would hide this machine's kernel log"),
	async pogs({ red, blue, salt }) {
		for (const each of [red, blue]) await each.run(`echo '<12>clear-${salt}' >/dev/kmsg`)
		await red.run('/run/pog/pogctl clear')
		const mine = await red.count(`dmesg | hits clear-${salt}`)
		const theirs = await blue.count(`dmesg | hits clear-${salt}`)
		return judge(
			mine === 0 && theirs === 1,
			`after a clear in red, dmesg shows ${mine} of 1 record in red, ${theirs} of 1 in blue`,
		)
	},
}

const configureOperation: Problem = {
	title: 'Set configuration',
	async native({ nativeRed }) {
		const printk = await nativeRed.out('cat /proc/sys/kernel/printk')
		return {
			verdict: 'untried',
			saw: `console level and rate are one for the machine (printk ${printk.replaceAll('\t', ' ')})`,
		}
	},
	async pogs({ red, blue, salt }) {
		const before = await blue.out('/run/pog/pogctl conf get')
		const set = await red.run("printf '*.err /var/log/errors\\n*.* /var/log/messages\\n' | /run/pog/pogctl conf set -")
		await red.run(`logger -p user.err new-${salt}; seen new-${salt} /var/log/errors`)
		const mine = await red.count(`has new-${salt} /var/log/errors`)
		const same = (await blue.out('/run/pog/pogctl conf get')) === before
		return judge(
			set.code === 0 && mine === 1 && same,
			"red's new rule holds from the next record; blue's text is the same",
		)
	},
}

const resizeOperation: Problem = {
	title: 'Set ring size',
	native: () => untried('there is one ring, its size is fixed at boot (log_buf_len=)'),
	async pogs(scene) {
		const before = (await scene.info('blue')).ring.sizeBytes
		await scene.red.run(
			`logger newest-${scene.salt}; seen newest-${scene.salt} /var/log/messages; /run/pog/pogctl resize 256k`,
		)
		const red = (await scene.info('red')).ring.sizeBytes
		const blue = (await scene.info('blue')).ring.sizeBytes
		const kept = await scene.red.count(`has newest-${scene.salt} /var/log/messages`)
		const isolated = red === 256 * 1024 && blue === before && kept === 1
		return judge(isolated, `red is now ${red / 1024} KiB and kept its newest; blue has its ${blue / 1024} KiB`)
	},
}

export const GROUPS: readonly { heading: string; problems: readonly Problem[] }[] = [
	{
		heading: 'Problems of a shared log (the paper, Table 1)',
		problems: [
			configurationConflict,
			clearConflict,
			concurrentRead,
			namespaceEscape,
			informationLeakage,
			logLoss,
			redundancy,
		],
	},
	{
		heading: 'The same by operation (the paper, Table 3)',
		problems: [readOperation, writeOperation, clearOperation, configureOperation, resizeOperation],
	},
]
