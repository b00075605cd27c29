/**
 * Views while their ring is overwritten: whatever reads one gets whole lines in order, and every gap is told with its count.
 *
 * A writer turns the smallest ring (64 KiB) over several times a second; its records are numbered, so that judge (lines.ts)
 * finds each torn line, each step back, and each record that is missing without a word.
 */
import test, { type ExecutionContext } from 'ava'
import { judge } from '../helpers/lines.ts'
import { fixtureProgram, needs, PYTHON, type Running, start, until } from '../helpers/programs.ts'
import { type Pog, type Service, startService } from '../helpers/service.ts'

let service: Service

test.before(async () => {
	service = await startService()
})
test.after.always(() => service?.stop())

const CONF = '*.*;syslog.none /var/log/messages\nauth,authpriv.* /var/log/auth.log\n'
const FILE = '/var/log/messages'
let count = 0

interface Storm {
	readonly pog: Pog
	/** Ends the writer; how many records it sent. */
	readonly stop: () => Promise<number>
}

async function storm(t: ExecutionContext, perSecond = 2_000): Promise<Storm> {
	const pog = await service.create(`storm-${++count}`, { conf: CONF, ringBytes: 64 * 1024 })
	const writer: Running = start(PYTHON, [fixtureProgram('steady-writer.py'), pog.paths.devLog, String(perSecond)])
	t.teardown(() => writer.stop())
	await until('the ring runs over', async () => (await pog.info()).drops.overwritten > 100, 15_000)
	return {
		pog,
		stop: async () => {
			writer.child.stdin?.end()
			return Number((await writer.ended(5_000)).stdout.trim().split('\n').at(-1))
		},
	}
}

test.serial('the judge finds torn lines, steps back, gaps and wrong counts', t => {
	const line = (n: number): string => `Nov 22 00:00:00 box steady: n=${String(n).padStart(8, '0')} xxx end\n`
	const lost = (n: number): string => `pogs: ${n} records lost: overwritten before they were read\n`
	t.deepEqual(judge(line(1) + line(2) + lost(3) + line(6)), { numbers: [1, 2, 6], toldLost: 3, faults: [] })
	for (const bad of [
		line(1) + line(3),
		line(2) + line(1),
		line(1) + line(1),
		line(1) + lost(2) + line(3),
		line(1) + lost(1) + line(2),
		line(1) + line(2).slice(0, 30),
		`${line(1).slice(0, 30)}\n${line(2)}`,
		line(1).slice(0, 40) + line(2),
		`\n${line(1)}`,
	]) {
		t.is(judge(bad).faults.length > 0, true, bad)
	}
})

const stormy = needs('python3')

for (const [program, script] of [
	['cat', `for n in 1 2 3 4 5 6; do cat ${FILE}; echo ==; done`],
	['a slow reader', `for n in 1 2; do dd if=${FILE} bs=512 2>/dev/null | (sleep 0.7; cat); echo ==; done`],
	['sed', `for n in 1 2 3; do sed -n p ${FILE}; echo ==; done`],
	['grep', `for n in 1 2 3; do grep . ${FILE}; echo ==; done`],
	['tail -n 20', `for n in 1 2 3 4 5 6; do tail -n 20 ${FILE}; echo ==; done`],
	['less', `for n in 1 2 3; do less ${FILE} | cat; echo ==; done`],
	['cp', `for n in 1 2 3; do cp ${FILE} /run/copy; cat /run/copy; echo ==; done`],
	['gzip', `for n in 1 2 3; do gzip -c ${FILE} | zcat; echo ==; done`],
] as const) {
	stormy(`${program} reads whole lines in order while the ring is overwritten`, async t => {
		const { pog, stop } = await storm(t)
		const pieces = (await pog.out(script, { timeoutMs: 20_000 })).split('==\n').slice(0, -1)
		await stop()
		for (const piece of pieces) {
			// less takes the size that a file had when it was opened for its end, and reads blocks of 8 KiB: of any file that grows
			// meanwhile it shows what was in the block that holds that end, to the middle of a line.
			const whole = program === 'less' ? piece.slice(0, piece.lastIndexOf('\n') + 1) : piece
			const verdict = judge(whole)
			t.deepEqual(verdict.faults, [], program)
			t.true(verdict.numbers.length >= 20, `${verdict.numbers.length} lines`)
		}
		t.true(pieces.length >= 2)
	})
}

for (const option of ['-f', '-F'] as const) {
	stormy(`tail ${option} follows while the ring is overwritten, and every loss is told`, async t => {
		const { pog, stop } = await storm(t, 1_000)
		const tail = pog.start(`exec tail ${option} -n 5 ${FILE}`)
		t.teardown(() => tail.stop())
		await tail.printed('3,000 lines', out => out.split('\n').length > 3_000, 20_000)
		const sent = await stop()
		const lastLine = `n=${String(sent - 1).padStart(8, '0')} `
		await tail.printed('the last record', out => out.includes(lastLine), 10_000)
		const verdict = judge((await tail.stop()).stdout)
		t.deepEqual(verdict.faults, [])
		t.is(verdict.numbers.at(-1), sent - 1)
	})
}

stormy('a reader that sleeps is told exactly how many records it missed', async t => {
	const { pog, stop } = await storm(t)
	const seen = await pog.out(`exec 3<${FILE}; head -c 0 <&3; dd bs=4096 count=1 <&3 2>/dev/null; sleep 2; cat <&3`)
	await stop()
	const verdict = judge(seen)
	t.deepEqual(verdict.faults, [])
	t.true(verdict.toldLost > 1_000, `told: ${verdict.toldLost}`)
})

stormy('tar packs exactly the size it saw while the ring is overwritten', async t => {
	const { pog, stop } = await storm(t)
	for (let n = 0; n < 3; n++) {
		// Exit 1 is "file changed as we read it", which is true.
		const packed = await pog.sh(
			'tar -C /var/log -cf /run/t.tar messages; code=$?; [ $code -le 1 ] && tar -xOf /run/t.tar',
		)
		t.is(packed.code, 0, packed.stderr)
		t.deepEqual(judge(packed.stdout, true).faults, [])
		t.notRegex(packed.stderr, /shrank|padding/)
	}
	await stop()
})

stormy('the size of an open file only grows, and wc -c agrees with it', async t => {
	const { pog, stop } = await storm(t)
	const script = `exec 3<${FILE}; for n in 1 2 3 4 5 6 7 8; do stat -L -c %s /dev/fd/3; sleep 0.05; done`
	const sizes = (await pog.out(script)).trim().split('\n').map(Number)
	await stop()
	t.deepEqual(
		sizes,
		[...sizes].sort((a, b) => a - b),
	)
	t.true((sizes[0] ?? 0) > 10_000)
})

stormy('rotation by mv during overwriting: each record is in one file', async t => {
	const { pog, stop } = await storm(t, 500)
	await pog.out(`mv ${FILE} ${FILE}.1`)
	const both = await pog.out(`sleep 0.2; cat ${FILE}.1 ${FILE}`)
	await stop()
	t.deepEqual(judge(both).faults, [])
})
