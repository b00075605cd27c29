/** The cases, in the order of the document. */
import type { EvaluationCase } from './case.ts'
import { analysis } from './cases/analysis.ts'
import { crash } from './cases/crash.ts'
import { growth } from './cases/growth.ts'
import { isolation } from './cases/isolation.ts'
import { launch } from './cases/launch.ts'
import { neighbour } from './cases/neighbour.ts'
import { peers } from './cases/peers.ts'
import { scale } from './cases/scale.ts'
import { throughput } from './cases/throughput.ts'

export const CASES: readonly EvaluationCase[] = [
	isolation,
	analysis,
	launch,
	throughput,
	scale,
	peers,
	crash,
	neighbour,
	growth,
]
