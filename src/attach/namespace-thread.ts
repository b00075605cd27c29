/** Entry of the attach thread: answers each job it is sent, and is back in its own namespace when it does. */
import { parentPort } from 'node:worker_threads'
import type { AttachJob, ThreadAnswer, TreesJob } from './attach-running.ts'
import { runJob, takeTrees } from './namespaces.ts'

parentPort?.on('message', (job: AttachJob | TreesJob) => {
	let outcome: ThreadAnswer
	try {
		outcome = job.action === 'trees' ? { trees: takeTrees(job) } : runJob(job)
	} catch (error) {
		// /proc/PID vanished under our hands.
		const whom = 'pid' in job ? `process ${job.pid}` : 'a POG'
		outcome = { problem: `Cannot ${job.action} ${whom}: ${error instanceof Error ? error.message : 'gone'}` }
	}
	parentPort?.postMessage(outcome)
})
