/**
 * The thread in which attach jobs run, one after the other: joining a mount namespace changes a thread's root, and a
 * container can hold it up.
 *
 * Invariant: every job is answered once. A thread that a container does not let go is left behind, and the jobs behind that one get
 * another; an idle thread keeps no process alive.
 */
import { Worker } from 'node:worker_threads'
import type { AttachJob, ThreadAnswer, TreesJob } from './attach-running.ts'

export class AttachThread {
	#worker: Worker | undefined
	#last: Promise<unknown> = Promise.resolve()
	/** Takes the answer to the job that runs. */
	#answer: (outcome: ThreadAnswer) => void = () => {}

	/** Starts the thread if there is none. */
	ready(): void {
		this.#worker ??= this.#start()
	}

	/** Runs a job when those before it are done. */
	run(job: AttachJob | TreesJob, timeoutMs: number): Promise<ThreadAnswer> {
		const outcome = this.#last.then(() => this.#runNow(job, timeoutMs))
		this.#last = outcome
		return outcome
	}

	async #runNow(job: AttachJob | TreesJob, timeoutMs: number): Promise<ThreadAnswer> {
		const worker = (this.#worker ??= this.#start())
		worker.ref()
		let timer: NodeJS.Timeout | undefined
		const outcome = await new Promise<ThreadAnswer>(resolve => {
			this.#answer = resolve
			timer = setTimeout(() => {
				// Held up in a file system of the container, it cannot be stopped.
				this.#worker = undefined
				void worker.terminate()
				const who = 'pid' in job ? `The container of process ${job.pid}` : 'The service'
				resolve({ problem: `${who} did not let us finish in ${timeoutMs} ms` })
			}, timeoutMs)
			worker.postMessage(job)
		})
		clearTimeout(timer)
		worker.unref()
		return outcome
	}

	#start(): Worker {
		const worker = startThread()
		worker.unref()
		const broken = (why: string): void => {
			// One that was left behind may end when nobody waits for it any more.
			if (this.#worker !== worker) return
			this.#worker = undefined
			this.#answer({ problem: `Cannot attach: ${why}` })
		}
		worker.on('message', (outcome: ThreadAnswer) => {
			if (this.#worker === worker) this.#answer(outcome)
		})
		worker.on('error', error => broken(error.message))
		worker.on('exit', () => broken('the thread ended early'))
		return worker
	}
}

/** From compiled files the thread's module is loaded as it is; from TypeScript (tests) tsx has to be started in it. */
function startThread(): Worker {
	const options = { stdout: false, stderr: false }
	if (!import.meta.url.endsWith('.ts')) return new Worker(new URL('./namespace-thread.js', import.meta.url), options)
	const module = JSON.stringify(new URL('./namespace-thread.ts', import.meta.url).href)
	return new Worker(`import('tsx/esm/api').then(tsx => tsx.tsImport(${module}, ${module}))`, { ...options, eval: true })
}
