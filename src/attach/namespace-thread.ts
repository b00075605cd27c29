/** Entry of the attach thread: answers each job it is sent, and is back in its own namespace when it does. */
import { parentPort } from 'node:worker_threads'
import type { AttachJob, AttachOutcome } from './attach-running.ts'
import { runJob } from './namespaces.ts'

parentPort?.on('message', (job: AttachJob) => {
	let outcome: AttachOutcome
	try {
		outcome = runJob(job)
	} catch (error) {
		// /proc/PID vanished under our hands.
		outcome = { problem: `Cannot ${job.action} process ${job.pid}: ${error instanceof Error ? error.message : 'gone'}` }
	}
	parentPort?.postMessage(outcome)
})
