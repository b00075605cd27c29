/**
 * The kernel's own /dev/kmsg and /proc/kmsg are the oracle: the same probes run on them and on a POG, and every answer is equal
 * but for the differences that kmsg-differences.ts names. What the real device cannot be asked without harm (overwriting the whole
 * log), or on a machine that forbids it, comes from the recording in fixtures/kmsg.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { accepted, DIFFERENCES, sortKeys } from '../helpers/kmsg-differences.ts'
import { fixtureProgram, needs, output, PYTHON, TOP } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

type Answers = Map<string, unknown>

let service: Service
let pog: Pog

test.before(async () => {
	// The kernel's own default.
	service = await startService({ etc: { 'pogs.conf': 'devkmsg = ratelimit\n' } })
	pog = await service.create('probe', { ringBytes: 128 * 1024 })
})
test.after.always(() => service?.stop())

async function probe(dev: string, proc: string, more: readonly string[] = []): Promise<Answers> {
	const args = [fixtureProgram('kmsg-probe'), '--dev', dev, ...(proc ? ['--proc', proc] : []), ...more]
	return answersOf(await output(PYTHON, args, { timeoutMs: 120_000 }))
}

function answersOf(text: string): Answers {
	const lines = text.split('\n').filter(line => line !== '')
	const rows = lines.map(line => JSON.parse(line) as { probe: string; result: unknown })
	return new Map(rows.map(row => [row.probe, row.result]))
}

function recorded(): Answers {
	return answersOf(readFileSync(join(TOP, 'fixtures/kmsg/oracle-6.18.jsonl'), 'utf8'))
}

/** The machine's own device may be asked: we are root, it is there, and POGS_TEST_REAL_KMSG=0 does not forbid it. */
function mayAskReal(): boolean {
	if (process.env['POGS_TEST_REAL_KMSG'] === '0' || process.getuid?.() !== 0) return false
	try {
		const device = statSync('/dev/kmsg')
		return device.isCharacterDevice() && !readFileSync('/proc/sys/kernel/printk_devkmsg', 'latin1').startsWith('off')
	} catch {
		return false
	}
}

/** /proc/kmsg has one position for everybody: reading it would take lines from whoever has it open. */
function someoneReadsProcKmsg(): boolean {
	return readdirSync('/proc').some(pid => {
		if (!/^\d+$/.test(pid)) return false
		try {
			return readdirSync(`/proc/${pid}/fd`).some(fd => readlinkSync(`/proc/${pid}/fd/${fd}`) === '/proc/kmsg')
		} catch {
			return false
		}
	})
}

/** Somebody cleared the machine's own log lately, or overwrites it now: the recording knows better where a seek leads. */
const MOVED = 'elsewhere'

const python = needs('python3')

python('a POG answers every probe as the kernel does, but for the differences that are named', async t => {
	const answers = await probe(pog.paths.devKmsg, pog.paths.procKmsg, ['--group', 'overwrite'])
	const expected = recorded()
	const real = mayAskReal()
	const realProc = real && !someoneReadsProcKmsg()
	if (real)
		for (const [name, answer] of await probe('/dev/kmsg', realProc ? '/proc/kmsg' : ''))
			if (answer !== MOVED) expected.set(name, answer)
	t.log(
		`oracle: ${real ? `this machine (${realProc ? '/dev/kmsg and /proc/kmsg' : '/dev/kmsg'}) and ` : ''}the recording`,
	)
	t.deepEqual([...answers.keys()].sort(), [...expected.keys()].sort(), 'the same probes were asked')

	const wrong: string[] = []
	for (const [name, wanted] of expected) {
		let got = answers.get(name)
		let want = wanted
		if (!agrees(name, got, want)) {
			// Other writers of the machine's log, or a loaded machine, may disturb a probe once: not three times.
			for (let again = 0; again < 2 && !agrees(name, got, want); again++) {
				got = (await probe(pog.paths.devKmsg, pog.paths.procKmsg, [name])).get(name)
				if (real && !name.includes('overwritten') && (realProc || name.startsWith('dev.'))) {
					const asked = (await probe('/dev/kmsg', realProc ? '/proc/kmsg' : '', [name])).get(name)
					if (asked !== MOVED) want = asked
				}
			}
		}
		if (!agrees(name, got, want)) wrong.push(complaint(name, got, want))
	}
	for (const name of Object.keys(DIFFERENCES))
		if (!expected.has(name)) wrong.push(`${name}: accepted, but no such probe`)
	t.deepEqual(wrong, [], `\n${wrong.join('\n')}`)
})

function agrees(name: string, got: unknown, want: unknown): boolean {
	const difference = DIFFERENCES[name]
	const same = JSON.stringify(got, sortKeys) === JSON.stringify(want, sortKeys)
	return difference ? !same && accepted(difference, got) : same
}

function complaint(name: string, got: unknown, want: unknown): string {
	const [seen, wanted] = [JSON.stringify(got), JSON.stringify(want)]
	if (seen === wanted) return `${name}: listed as a difference, yet both answer ${seen}`
	return `${name}: kernel ${wanted}, POG ${seen}${DIFFERENCES[name] ? ' (another difference than the accepted one)' : ''}`
}

python('SEEK_DATA goes to the first record after the last clear, and nothing else is hidden', async t => {
	const cleared = await service.create('cleared')
	const script = `
		echo '<14>before' > /dev/kmsg
		echo clear > /run/pog/ctl
		echo '<14>after' > /dev/kmsg
		python - <<-'END'
		import os
		fd = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK)
		print(os.read(fd, 8192).decode().split(';')[1], end='')
		os.lseek(fd, 0, os.SEEK_DATA)
		print(os.read(fd, 8192).decode().split(';')[1], end='')
		os.lseek(fd, 0, os.SEEK_SET)
		print(os.read(fd, 8192).decode().split(';')[1], end='')
		END
	`.replaceAll('python -', `${PYTHON} -`)
	t.is(await cleared.out(script), 'before\nafter\nbefore\n')
})

python('two POGs have positions, sequence numbers and clear points of their own', async t => {
	const [one, two] = [await service.create('one'), await service.create('two')]
	await one.out('for n in 1 2 3; do echo "<14>one $n" > /dev/kmsg; done; echo clear > /run/pog/ctl')
	await two.out("echo '<14>two 1' > /dev/kmsg")
	t.regex(await two.out('head -n 1 /dev/kmsg'), /^14,0,\d+,-;two 1\n$/)
	t.regex(await two.out('dmesg'), /^\[ *\d+\.\d{6}\] two 1\n$/)
	await one.out("echo '<14>one 4' > /dev/kmsg") // an empty log makes dmesg turn to syslog(2), which is another interface
	t.regex(await one.out('dmesg'), /^\[ *\d+\.\d{6}\] one 4\n$/)
})
