/**
 * Whose the kernel's messages are. Source of truth: messages of Linux 6.18 as they were logged (an OOM kill in a memory cgroup, a segfault, a
 * fork beyond pids.max), the format strings of mm/oom_kill.c, kernel/auditsc.c and arch/x86/kernel/traps.c (v6.12).
 */
import { readFileSync } from 'node:fs'
import test from 'ava'
import fc from 'fast-check'
import { parseHostRecord } from '../../src/ingest/host-kmsg.ts'
import { KernelMessages, type Owners } from '../../src/ingest/kernel-messages.ts'

/** Containers with their control groups, and processes: host pid to container and pid inside. */
const PATHS = { red: '/docker/red', blue: '/docker/blue', deep: '/docker/red/nested' } as const
const PROCESSES: Readonly<Record<number, { owner: string; pid: number }>> = {
	14575: { owner: 'red', pid: 7 },
	14600: { owner: 'blue', pid: 9 },
}
const OWNERS: Owners<string> = {
	ofCgroup: (_, text) => {
		let found: { owner: string; pathBytes: number } | undefined
		for (const [owner, path] of Object.entries(PATHS)) {
			if (!text.startsWith(path) || !/^(?:$|[/,])/.test(text.slice(path.length))) continue
			if (found === undefined || found.pathBytes < path.length) found = { owner, pathBytes: path.length }
		}
		return found
	},
	ofProcess: pid => PROCESSES[pid],
	uidIn: (owner, uid) => (owner === 'blue' ? uid - 100_000 : uid),
}

function told(...texts: readonly string[]): string[] {
	const messages = new KernelMessages(OWNERS)
	return texts.flatMap(text => messages.take(4, text)).map(({ owner, text }) => `${owner}: ${text}`)
}

const INVOKED = 'python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0'
const BETWEEN = [
	'CPU: 0 UID: 0 PID: 14575 Comm: python3 Not tainted 6.18.44 #1 PREEMPT(none) ',
	'Call Trace:',
	' mem_cgroup_out_of_memory+0xe8/0x130',
	'memory: usage 16384kB, limit 16384kB, failcnt 96',
	'memory+swap: usage 16384kB, limit 9007199254740988kB, failcnt 0',
	'Memory cgroup stats for /docker/red:',
	'rss 16633856',
	'Tasks state (memory values in pages):',
	'[  14575]     0 14575    20526     5685     4032     1653         0   102400        0             0 python3',
]
const summary = (oom: string, task: string, pid = 14575, name = 'python3', cpuset = '/'): string =>
	`oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=${cpuset},mems_allowed=0,oom_memcg=${oom},task_memcg=${task},task=${name},pid=${pid},uid=0`
const killed = (pid = 14575): string =>
	`Memory cgroup out of memory: Killed process ${pid} (python3) total-vm:82104kB, anon-rss:16128kB, file-rss:6612kB, shmem-rss:0kB, UID:0 pgtables:100kB oom_score_adj:0`

test('an OOM kill in a container is told to it: who asked, how full, who was killed, with its own numbers and paths', t => {
	const lines = told(INVOKED, ...BETWEEN, summary('/docker/red', '/docker/red', 14575, 'python3', 'red'), killed())
	t.deepEqual(lines, [
		`red: ${INVOKED}`,
		'red: memory: usage 16384kB, limit 16384kB, failcnt 96',
		'red: memory+swap: usage 16384kB, limit 9007199254740988kB, failcnt 0',
		`red: ${summary('/', '/', 7)}`,
		`red: ${killed(7)}`,
	])
})

test('a child group is its container, a longer name of the same beginning is not, the deepest container goes first', t => {
	t.is(told(INVOKED, summary('/docker/red/child', '/docker/red/child')).length, 2)
	t.deepEqual(told(INVOKED, summary('/docker/redder', '/docker/redder'), killed(1)), [])
	t.true(told(summary('/docker/red/nested/x', '/docker/red/nested/x'))[0]?.startsWith('deep: '))
})

test("a victim of its parent's limit or of the machine's memory is told of its end, not how full others are", t => {
	const lines = told(INVOKED, ...BETWEEN, summary('/docker', '/docker/red'), killed())
	t.deepEqual(lines, [`red: ${summary('/..', '/', 7)}`, `red: ${killed(7)}`])
	const global =
		'oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=red,mems_allowed=0-1,global_oom,task_memcg=/docker/red,task=x,pid=14575,uid=0'
	t.deepEqual(told(INVOKED, global, 'Out of memory: Killed process 14575 (x) total-vm:1kB, UID:0 pgtables:1kB'), [
		'red: oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/,task=x,pid=7,uid=0',
		'red: Out of memory: Killed process 7 (x) total-vm:1kB, UID:0 pgtables:1kB',
	])
})

test('a whole group that is killed, and what the reaper says, go to the same container; a process that is gone is 0', t => {
	const lines = told(
		summary('/docker/red', '/docker/red/job', 99),
		killed(99),
		'Tasks in /docker/red/job are going to be killed due to memory.oom.group set',
		killed(98),
		'oom_reaper: reaped process 98 (python3), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB',
		'oom_reaper: reaped process 98 (python3), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB',
	)
	t.deepEqual(lines, [
		`red: ${summary('/', '/', 0)}`,
		`red: ${killed(0)}`,
		'red: Tasks in /job are going to be killed due to memory.oom.group set',
		`red: ${killed(0)}`,
		'red: oom_reaper: reaped process 0 (python3), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB',
	])
})

test('messages about a process go to its container with its pid there, without the machine', t => {
	t.deepEqual(
		told(
			'cgroup: fork rejected by pids controller in /docker/blue/x',
			'seg[14600]: segfault at 0 ip 000055d1e6efd132 sp 00007ffd6b9602a0 error 6 in seg[1132,55d1e6efd000+1000] likely on CPU 0 (core 0, socket 0)',
			'traps: x[1][14575] general protection fault ip:401136 sp:7ffc error:0 in x[401000+1000]',
			'traps: x[14575] trap invalid opcode ip:401136 sp:7ffc error:0 in x[401000+1000]',
			'audit: type=1326 audit(1700000000.123:45): auid=4294967295 uid=0 gid=0 ses=4294967295 subj=unconfined pid=14575 comm="x" exe="/bin/x" sig=31 arch=c000003e syscall=103 compat=0 ip=0x7f code=0x80000000',
			'INFO: task x:14575 blocked for more than 120 seconds.',
		),
		[
			'blue: cgroup: fork rejected by pids controller in /x',
			'blue: seg[9]: segfault at 0 ip 000055d1e6efd132 sp 00007ffd6b9602a0 error 6 in seg[1132,55d1e6efd000+1000]',
			'red: traps: x[1][7] general protection fault ip:401136 sp:7ffc error:0 in x[401000+1000]',
			'red: traps: x[7] trap invalid opcode ip:401136 sp:7ffc error:0 in x[401000+1000]',
			'red: audit: type=1326 audit(1700000000.123:45): auid=4294967295 uid=0 gid=0 ses=4294967295 subj=unconfined pid=7 comm="x" exe="/bin/x" sig=31 arch=c000003e syscall=103 compat=0 ip=0x7f code=0x80000000',
			'red: INFO: task x:7 blocked for more than 120 seconds.',
		],
	)
	t.true(told(summary('/docker/blue', '/docker/blue', 14600).replace('uid=0', 'uid=101000'))[0]?.endsWith('uid=1000'))
})

test('what belongs to nobody, or to the machine, stays there', t => {
	t.deepEqual(
		told(
			...BETWEEN,
			'eth0: link up',
			'seg[1]: segfault at 0 ip 0 sp 0 error 6 in seg[0,0+1000]',
			'cgroup: fork rejected by pids controller in /user.slice',
			killed(1),
			summary('/user.slice', '/user.slice', 1),
		),
		[],
	)
})

test("names that a container chooses cannot bring a message into another's log", t => {
	// No container has this group, but one below it is named like red's.
	const evil = '/other/x,task_memcg=/docker/red'
	t.deepEqual(told(summary('/other', evil, 1)), [])
	t.deepEqual(told(summary(evil, '/other', 1)), [])
	t.true(told(summary('/docker/blue/a,oom_memcg=/docker/red', '/docker/blue/b', 1)).every(x => x.startsWith('blue: ')))
	t.true(told(summary('/docker/blue', '/docker/blue', 1, ',pid=14575')).every(x => x.startsWith('blue: ')))
	t.deepEqual(told('x[14575][1]: segfault at 0 ip 0 sp 0 error 6 in x[0,0+1000]'), [])
	t.deepEqual(told('audit: type=1326 audit(1.1:1): auid=0 pid=1 comm="pid=14575 " exe="/x"'), [])
})

/** One of each kind, and what the container is told of it; the usage is told with the summary. */
const OF_EACH_KIND: readonly (readonly [given: readonly string[], told: string])[] = [
	[[INVOKED, summary('/docker/red', '/docker/red')], INVOKED],
	[[INVOKED, 'kmem: usage 1kB, limit 2kB, failcnt 3', summary('/docker/red', '/docker/red')], 'kmem: usage 1kB'],
	[[summary('/docker/red', '/docker/red')], summary('/', '/', 7)],
	[[killed()], killed(7)],
	[
		['Tasks in /docker/red are going to be killed due to memory.oom.group set'],
		'Tasks in / are going to be killed due to memory.oom.group set',
	],
	[[killed(), 'oom_reaper: reaped process 14575 (x), now anon-rss:0kB'], 'oom_reaper: reaped process 7 (x), now'],
	[['cgroup: fork rejected by pids controller in /docker/red'], 'cgroup: fork rejected by pids controller in /'],
	[['x[14575]: segfault at 0 ip 0 sp 0 error 6 in x[0,0+1000]'], 'x[7]: segfault at 0'],
	[['traps: x[14575] trap int3 ip:0 sp:0 error:0 in x[0,1000+1000]'], 'traps: x[7] trap int3'],
	[['x[14575] vsyscall attempted with vsyscall=none ip:0'], 'x[7] vsyscall attempted'],
	[
		['audit: type=1326 audit(1.2:3): auid=0 uid=0 pid=14575 comm="x"'],
		'audit: type=1326 audit(1.2:3): auid=0 uid=0 pid=7 ',
	],
	[['INFO: task x:14575 blocked for more than 120 seconds.'], 'INFO: task x:7 blocked for more than 120 seconds.'],
	[
		['__vm_enough_memory: pid: 14575, comm: x, bytes: 4096 not enough memory for the allocation'],
		'__vm_enough_memory: pid: 7, comm: x',
	],
	[['mmap: x (14575): VmData 8192 exceed data ulimit 4096. Update limits'], 'mmap: x (7): VmData 8192'],
]

test('docs/kernel-messages.md has every kind that is told, in the words of the table, and no other; each is told', t => {
	const text = readFileSync(new URL('../../docs/kernel-messages.md', import.meta.url), 'utf8')
	const rows = text.split('\n').filter(line => line.startsWith('| '))
	const kinds = KernelMessages.KINDS
	t.deepEqual(
		rows.slice(1),
		kinds.map(({ text, whose, changed }) => `| ${text} | ${whose} | ${changed} |`),
	)
	t.is(OF_EACH_KIND.length, kinds.length)
	for (const [n, [given, expected]] of OF_EACH_KIND.entries()) {
		const kind = kinds[n]
		t.true(
			given.some(line => kind?.pattern.test(line)),
			kind?.text,
		)
		t.true(
			told(...given).some(line => line.startsWith(`red: ${expected}`)),
			`${kind?.text}: ${told(...given).join('; ')}`,
		)
	}
})

test('any messages in any order are answered, and only about known containers', t => {
	const piece = fc.constantFrom(
		INVOKED,
		...BETWEEN,
		summary('/docker/red', '/docker/red'),
		summary('/x', '/x', 1),
		killed(),
		killed(3),
		'Tasks in /docker/blue are going to be killed due to memory.oom.group set',
	)
	const text = fc.oneof(
		piece,
		fc.string(),
		fc.tuple(piece, fc.string()).map(parts => parts.join('')),
	)
	fc.assert(
		fc.property(fc.array(text, { maxLength: 30 }), texts => {
			return told(...texts).every(line => /^(?:red|blue|deep): /.test(line))
		}),
	)
	t.pass()
})

test("only the kernel's own records of the host's log count", t => {
	t.deepEqual(parseHostRecord('3,37019,6063502113,-;Killed\\x09x\n SUBSYSTEM=mm\n'), { severity: 3, text: 'Killed\tx' })
	t.deepEqual(parseHostRecord('6,1,2,c,caller=T1;text\n'), { severity: 6, text: 'text' })
	for (const record of ['14,1,2,-;cgroup: fork rejected\n', '', ';', 'x,1,2,-;y\n', '6,1,2;\n'])
		t.is(parseHostRecord(record), undefined, record)
})
