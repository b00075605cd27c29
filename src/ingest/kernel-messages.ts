/**
 * Whose the kernel's messages are: from the host's log, message by message, to what a container is told.
 *
 * Source: mm/oom_kill.c (dump_header, dump_oom_victim_mem_info), mm/memcontrol-v1.c, kernel/cgroup/pids.c, arch/x86/mm/fault.c (show_signal_msg),
 * arch/x86/kernel/traps.c, kernel/audit.c and auditsc.c (type 1326), kernel/hung_task.c, mm/util.c of v6.12. One table, KINDS, says
 * which texts and which key; docs/kernel-messages.md has it for people.
 *
 * Invariant: a message goes to one container or to none, and none can be made to go to another's: an owner is found by a
 * control group that the host named, at the beginning of a path, or by a process number that the kernel printed, never by
 * text that a process may choose. Figures of the whole machine, other tasks and addresses in the kernel are left out.
 */

/** A process as its container knows it. */
export interface OwnedProcess<O> {
	readonly owner: O
	/** In the container's pid namespace; 0 when it could not be told. */
	readonly pid: number
}

/** Who is who on this host. */
export interface Owners<O> {
	/** The container whose control group of this controller a text begins with, and that part's length. */
	ofCgroup(controller: 'memory' | 'pids', text: string): { owner: O; pathBytes: number } | undefined
	/** The container of a process that is still there. */
	ofProcess(hostPid: number): OwnedProcess<O> | undefined
	/** A user id of the host as the container has it. */
	uidIn(owner: O, uid: number): number
}

/** One message for one container. */
export interface KernelMessage<O> {
	readonly owner: O
	readonly severity: number
	readonly text: string
}

interface Line {
	readonly severity: number
	readonly text: string
}

/** One kind of message. The first three say for people what `pattern` and `take` do: docs/kernel-messages.md has them, word for word. */
interface Kind {
	readonly text: string
	readonly whose: string
	readonly changed: string
	readonly pattern: RegExp
	/** Left out where one process is spoken of: its number is in the group `pid`, between `before` and `after`. */
	readonly take?: <O>(messages: KernelMessages<O>, severity: number, match: RegExpExecArray) => KernelMessage<O>[]
	/** What of `after` is told. */
	readonly tail?: (after: string) => string
}

const SUMMARY = /^(oom-kill:constraint=\w+,nodemask=[^,]*(?:,\d[^,]*)*),cpuset=.*,task=(.*),pid=(\d+),uid=(\d+)$/
const OOM_PATH = ',oom_memcg='
const TASK_PATH = ',task_memcg='
const FORK_REJECTED = 'cgroup: fork rejected by pids controller in '

/** Victims that are remembered until they are reaped. */
const MAX_VICTIMS = 256

export class KernelMessages<O> {
	/** Every kind that is told to a container; the first that fits. */
	static readonly KINDS: readonly Kind[] = [
		{
			text: '`NAME invoked oom-killer: ...`',
			whose: 'of the control group in the summary that follows',
			changed: 'nothing',
			pattern: /^.* invoked oom-killer: gfp_mask=.*$/,
			take: (to, severity, [text]) => to.#invoked(severity, text),
		},
		{
			text: '`memory: usage ..., limit ...`, `memory+swap: ...`, `swap: ...`, `kmem: ...`',
			whose: 'the same',
			changed: 'nothing',
			pattern: /^(?:memory|memory\+swap|swap|kmem): usage \d+kB, limit \d+kB, failcnt \d+$/,
			take: (to, severity, [text]) => to.#usage(severity, text),
		},
		{
			text: '`oom-kill:constraint=...,oom_memcg=...,task_memcg=...,task=...,pid=...,uid=...`',
			whose:
				"`oom_memcg`, at or below the container's memory group; else, alone and without the two above, `task_memcg` (a limit above the container, or the machine's memory)",
			changed: '`cpuset`, `mems_allowed` and paths as in a container of its own; pid and uid in its namespaces',
			pattern: /^oom-kill:constraint=.*$/,
			take: (to, severity, [text]) => to.#summary(severity, text),
		},
		{
			text: '`Memory cgroup out of memory: Killed process PID (NAME) ...`, `Out of memory: Killed ...`',
			whose: 'of the victim in the summary; else of the process; else of the group below',
			changed: 'pid, UID',
			pattern:
				/^(?<before>(?:Memory cgroup o|O)ut of memory(?: \([^)]*\))?: Killed process )(?<pid>\d+)(?<after> \(.*)$/,
			take: (to, severity, match) => to.#killed(severity, match),
		},
		{
			text: '`Tasks in PATH are going to be killed due to memory.oom.group set`',
			whose: 'the memory group',
			changed: "path below the container's",
			pattern: /^Tasks in (\/.*) are going to be killed due to memory\.oom\.group set$/,
			take: (to, severity, [, path = '']) => to.#groupKill(severity, path),
		},
		{
			text: '`oom_reaper: reaped process PID (NAME), ...`',
			whose: 'of the victim',
			changed: 'pid',
			pattern: /^(?<before>oom_reaper: reaped process )(?<pid>\d+)(?<after> \(.*)$/,
			take: (to, severity, match) => to.#reaped(severity, match),
		},
		{
			text: '`cgroup: fork rejected by pids controller in PATH`',
			whose: 'the pids group',
			changed: "path below the container's",
			pattern: /^cgroup: fork rejected by pids controller in .*$/,
			take: (to, severity, [text]) => to.#forkRejected(severity, text),
		},
		{
			// "comm[pid]: segfault at 0 ip ... sp ... error 6 in file[...] likely on CPU 0 (core 0, socket 0)"
			text: '`NAME[PID]: segfault at ...`',
			whose: 'the process',
			changed: "pid; the host's processor is left out",
			pattern: /^(?<before>.*\[)(?<pid>\d+)(?<after>\]: segfault at .*)$/,
			tail: after => after.replace(/ likely on CPU \d+ \(core \d+, socket \d+\)$/, ''),
		},
		{
			// "traps: comm[pid] general protection fault ip:... sp:... error:0 in file[...]"
			text: '`traps: NAME[PID] general protection fault ...`, `traps: NAME[PID] trap ...`',
			whose: 'the process',
			changed: 'pid',
			pattern: /^(?<before>traps: .*\[)(?<pid>\d+)(?<after>\] (?:trap |general protection ).*)$/,
		},
		{
			text: '`NAME[PID]: bad frame in ...`, `NAME[PID]: unhandled signal ...`, `NAME[PID] vsyscall ...`',
			whose: 'the process',
			changed: 'pid',
			pattern: /^(?<before>.*\[)(?<pid>\d+)(?<after>\]:? (?:bad frame in |unhandled signal |vsyscall ).*)$/,
		},
		{
			// The fields before pid are numbers and a label of the security module; comm and exe come after it.
			text: '`audit: type=1326 ... pid=PID ...` (seccomp)',
			whose: 'the process',
			changed: 'pid',
			pattern: /^(?<before>audit: type=1326 audit\([\d.:]+\): (?:[a-z]+=\S+ )*?pid=)(?<pid>\d+)(?<after> .*)$/,
		},
		{
			text: '`INFO: task NAME:PID blocked for more than N seconds.`',
			whose: 'the process',
			changed: 'pid',
			pattern: /^(?<before>INFO: task .*:)(?<pid>\d+)(?<after> blocked for more than \d+ seconds\.)$/,
		},
		{
			text: '`__vm_enough_memory: pid: PID, ...`',
			whose: 'the process',
			changed: 'pid',
			pattern: /^(?<before>__vm_enough_memory: pid: )(?<pid>\d+)(?<after>, comm: .*)$/,
		},
		{
			text: '`mmap: NAME (PID): VmData ...`',
			whose: 'the process',
			changed: 'pid',
			pattern: /^(?<before>mmap: .* \()(?<pid>\d+)(?<after>\): VmData .*)$/,
		},
	]

	readonly #owners: Owners<O>
	/** The beginning of an out-of-memory report, until its summary says whose it is. The kernel makes one at a time. */
	#report: Line[] = []
	readonly #victims = new Map<number, OwnedProcess<O>>()
	/** Whose whole control group is being killed. */
	#group: O | undefined

	constructor(owners: Owners<O>) {
		this.#owners = owners
	}

	/** Takes the next message of the kernel's log (facility kern only); what containers are told, in order. */
	take(severity: number, text: string): KernelMessage<O>[] {
		for (const { pattern, take, tail } of KernelMessages.KINDS) {
			const match = pattern.exec(text)
			if (match === null) continue
			if (take !== undefined) return take(this, severity, match)
			const process = this.#owners.ofProcess(pidOf(match))
			return process === undefined ? [] : [this.#about(process, severity, match, tail)]
		}
		return []
	}

	#invoked(severity: number, text: string): KernelMessage<O>[] {
		this.#report = [{ severity, text }]
		this.#group = undefined
		return []
	}

	/** Told with the summary. */
	#usage(severity: number, text: string): KernelMessage<O>[] {
		if (this.#report.length > 0) this.#report.push({ severity, text })
		return []
	}

	#about(
		{ owner, pid }: OwnedProcess<O>,
		severity: number,
		match: RegExpExecArray,
		tail: (text: string) => string = text => text,
	): KernelMessage<O> {
		const { before = '', after = '' } = match.groups ?? {}
		return { owner, severity, text: `${before}${pid}${tail(after)}` }
	}

	/** The one line that says which control group was full, and whose process is killed. */
	#summary(severity: number, text: string): KernelMessage<O>[] {
		const report = this.#report
		this.#report = []
		const match = SUMMARY.exec(text)
		if (match === null) return []
		const [, head = '', task = '', pidText = '', uidText = ''] = match
		// The kernel's own word comes first; a cgroup's name, which its container may have chosen, only after it.
		const oomAt = text.indexOf(`${OOM_PATH}/`)
		const full = oomAt < 0 ? undefined : this.#owners.ofCgroup('memory', text.slice(oomAt + OOM_PATH.length))
		const taskAt = text.indexOf(`${TASK_PATH}/`)
		const alone = taskAt === text.lastIndexOf(TASK_PATH)
		const victims = alone ? this.#owners.ofCgroup('memory', text.slice(taskAt + TASK_PATH.length)) : undefined
		const owner = full?.owner ?? victims?.owner
		if (owner === undefined) return []
		const pid = this.#pidIn(owner, Number(pidText))
		this.#remember(Number(pidText), { owner, pid })
		const inside = full === undefined ? ',oom_memcg=/..' : ',oom_memcg=/'
		const uid = this.#owners.uidIn(owner, Number(uidText))
		const summary = `${head},cpuset=/,mems_allowed=0${oomAt < 0 ? ',global_oom' : inside},task_memcg=/,task=${task},pid=${pid},uid=${uid}`
		// How full, and who asked, is of the control group that was full: told only to the one whose it is.
		const before = full === undefined ? [] : report
		return [...before, { severity, text: summary }].map(line => ({ owner, ...line }))
	}

	#pidIn(owner: O, hostPid: number): number {
		const process = this.#owners.ofProcess(hostPid)
		return process?.owner === owner ? process.pid : 0
	}

	#remember(hostPid: number, victim: OwnedProcess<O>): void {
		this.#victims.delete(hostPid)
		this.#victims.set(hostPid, victim)
		for (const oldest of this.#victims.keys()) {
			if (this.#victims.size <= MAX_VICTIMS) break
			this.#victims.delete(oldest)
		}
	}

	#groupKill(severity: number, path: string): KernelMessage<O>[] {
		const found = this.#owners.ofCgroup('memory', path)
		this.#group = found?.owner
		if (found === undefined) return []
		const text = `Tasks in ${path.slice(found.pathBytes) || '/'} are going to be killed due to memory.oom.group set`
		return [{ owner: found.owner, severity, text }]
	}

	#killed(severity: number, match: RegExpExecArray): KernelMessage<O>[] {
		const hostPid = pidOf(match)
		const process = this.#victims.get(hostPid) ?? this.#owners.ofProcess(hostPid) ?? this.#groupMember(hostPid)
		if (process === undefined) return []
		this.#remember(hostPid, process)
		const withUid = (text: string): string =>
			text.replace(/ UID:(\d+) /, (_, uid: string) => ` UID:${this.#owners.uidIn(process.owner, Number(uid))} `)
		return [this.#about(process, severity, match, withUid)]
	}

	#groupMember(hostPid: number): OwnedProcess<O> | undefined {
		return this.#group === undefined ? undefined : { owner: this.#group, pid: this.#pidIn(this.#group, hostPid) }
	}

	/** The last word on a victim. */
	#reaped(severity: number, match: RegExpExecArray): KernelMessage<O>[] {
		const victim = this.#victims.get(pidOf(match))
		if (victim === undefined) return []
		this.#victims.delete(pidOf(match))
		return [this.#about(victim, severity, match)]
	}

	#forkRejected(severity: number, text: string): KernelMessage<O>[] {
		const path = text.slice(FORK_REJECTED.length)
		const found = this.#owners.ofCgroup('pids', path)
		if (found === undefined) return []
		return [{ owner: found.owner, severity, text: FORK_REJECTED + (path.slice(found.pathBytes) || '/') }]
	}

	/** A container is gone: nothing may be told to it any more. */
	forget(owner: O): void {
		for (const [pid, victim] of this.#victims) if (victim.owner === owner) this.#victims.delete(pid)
		if (this.#group === owner) this.#group = undefined
	}
}

function pidOf(match: RegExpExecArray): number {
	return Number(match.groups?.['pid'])
}
